"use strict";
(() => {
  const cards = [...document.querySelectorAll(".card")];
  const search = document.querySelector("#search");
  const chips = document.querySelector("#objects");
  const shown = document.querySelector("#shown");
  const dialog = document.querySelector("dialog");
  const totals = new Map();
  for (const card of cards) {
    card.objects = JSON.parse(card.dataset.objects);
    for (const [name, [count, colour]] of Object.entries(card.objects)) {
      const total = totals.get(name) ?? { count: 0, runs: 0, colour };
      total.count += count ?? 0;
      total.runs += 1;
      totals.set(name, total);
    }
  }
  const add = (parent, tag, text, kind) => {
    const made = document.createElement(tag);
    if (text) made.textContent = text;
    if (kind) made.className = kind;
    parent.append(made);
    return made;
  };
  for (const [name, total] of [...totals].sort((one, other) => (one[0] < other[0] ? -1 : 1))) {
    const chip = add(chips, "label", "", "chip");
    const box = add(chip, "input");
    box.type = "checkbox";
    box.value = name;
    add(chip, "span", "", "dot").style.background = total.colour;
    const runs = `${total.runs.toLocaleString("en")} ${total.runs === 1 ? "run" : "runs"}`;
    add(chip, "span", `${name} (${total.count ? `${total.count.toLocaleString("en")} in ` : ""}${runs})`);
  }
  const visible = () => cards.filter((card) => !card.hidden);
  const filter = () => {
    const text = search.value.trim().toLowerCase();
    const wanted = [...chips.querySelectorAll("input:checked")].map((box) => box.value);
    for (const card of cards) {
      const named = card.dataset.run.toLowerCase().includes(text);
      card.hidden = !(named && wanted.every((name) => Object.hasOwn(card.objects, name)));
    }
    shown.textContent = `${visible().length.toLocaleString("en")} of ${cards.length.toLocaleString("en")} runs`;
  };
  search.addEventListener("input", filter);
  chips.addEventListener("change", filter);
  document.querySelector("form").addEventListener("submit", (event) => event.preventDefault());
  filter();

  let current = null;
  const show = (card) => {
    current = card;
    const small = card.querySelector("img");
    const content = dialog.querySelector(".content");
    dialog.querySelector("h2").textContent = card.dataset.run;
    content.replaceChildren();
    if (small) {
      const image = add(content, "img");
      image.alt = small.alt;
      image.src = small.src;
      if (card.dataset.large) {
        const large = new Image();
        large.addEventListener("load", () => { image.src = large.src; });
        large.src = card.dataset.large;
      }
    }
    for (const part of card.querySelectorAll("p, ul")) content.append(part.cloneNode(true));
  };
  const step = (by) => {
    const list = visible();
    const next = list[(list.indexOf(current) + by + list.length) % list.length];
    if (next) show(next);
  };
  for (const card of cards) {
    card.querySelector("button")?.addEventListener("click", () => {
      show(card);
      dialog.showModal();
    });
  }
  dialog.querySelector("#previous").addEventListener("click", () => step(-1));
  dialog.querySelector("#next").addEventListener("click", () => step(1));
  dialog.querySelector("#close").addEventListener("click", () => dialog.close());
  dialog.addEventListener("keydown", (event) => {
    if (event.key === "ArrowLeft") step(-1);
    if (event.key === "ArrowRight") step(1);
  });
  dialog.addEventListener("close", () => current?.querySelector("button")?.focus());
})();
