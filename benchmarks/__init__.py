"""The benchmark suite: aiocopick beside copick, and above what the machine can do at best.

``python -m benchmarks --help`` says how to run it. Every sample is a process of its own, so every figure starts from
cold caches; subjects take turns, so that a slow minute of the machine falls on all of them; requests are counted by the
server.

- :mod:`benchmarks.works`: what is measured.
- :mod:`benchmarks.subjects`: who is measured.
- :mod:`benchmarks.datasets`, :mod:`benchmarks.targets`: on what, and where it lies.
- :mod:`benchmarks.profiles`: which of all that one run takes.
- :mod:`benchmarks.suite`, :mod:`benchmarks.runner`, :mod:`benchmarks.process`, :mod:`benchmarks.child`,
  :mod:`benchmarks.meter`: how.
- :mod:`benchmarks.results`, :mod:`benchmarks.summary`, :mod:`benchmarks.tables`, :mod:`benchmarks.plots`,
  :mod:`benchmarks.report`: what comes out; :mod:`benchmarks.promises`: how good it has to be.

``child``, ``meter`` and ``subjects`` also run in the environments of older copicks: they import nothing of ours but
what they measure.
"""
