"use strict";
const cards = [...document.querySelectorAll(".card")].map((node, place) => ({
  node, place, ...node.dataset,
  scores: JSON.parse(node.dataset.scores), seen: JSON.parse(node.dataset.seen),
}));
const form = document.querySelector(".controls");

function matches(card, wanted) {
  return (!wanted.truth || card.truth === wanted.truth)
    && (!wanted.verdict || card.verdict === wanted.verdict)
    && (!wanted.seen || card.seen.includes(wanted.seen));
}

function comparison(order) {
  if (!order) return (a, b) => a.place - b.place;
  if (order === "id") return (a, b) => a.id.localeCompare(b.id) || a.place - b.place;
  const [name, sign] = JSON.parse(order);
  // An undefined score comes last in either direction.
  const key = (card) => card.scores[name] == null ? Infinity : sign * card.scores[name];
  return (a, b) => {
    const [x, y] = [key(a), key(b)];
    return x === y ? a.place - b.place : x < y ? -1 : 1;
  };
}

function arrange() {
  const wanted = Object.fromEntries(new FormData(form));
  for (const card of [...cards].sort(comparison(wanted.order))) {
    card.node.hidden = !matches(card, wanted);
    card.node.parentNode.append(card.node);
  }
  const shown = cards.filter((card) => !card.node.hidden).length;
  const all = cards.length === 1 ? "1 image" : `${cards.length} images`;
  form.querySelector("output").textContent =
    shown === cards.length ? all : `${shown} of ${all}`;
  for (const section of document.querySelectorAll("section.cards")) {
    section.querySelector(".empty").hidden = !!section.querySelector(".card:not([hidden])");
  }
}

const viewer = document.getElementById("viewer");
let current = null;

function show(button) {
  const stage = viewer.querySelector(".stage");
  current = button;
  if (button.matches(".sheet")) {
    stage.replaceChildren(button.querySelector("img").cloneNode());
  } else {
    const views = document.createElement("div");
    views.className = "views";
    views.append(...[...button.children].map((view) => view.cloneNode(true)));
    stage.replaceChildren(views, button.nextElementSibling.cloneNode(true));
  }
  if (!viewer.open) viewer.showModal();
}

function step(by) {
  const all = [...document.querySelectorAll(current.matches(".sheet") ? ".sheet" : ".views")]
    .filter((button) => button.type === "button" && !button.closest("[hidden]"));
  show(all[(all.indexOf(current) + by + all.length) % all.length]);
}

for (const button of document.querySelectorAll("button.views, button.sheet")) {
  button.addEventListener("click", () => show(button));
}
viewer.querySelector("[name=previous]").addEventListener("click", () => step(-1));
viewer.querySelector("[name=next]").addEventListener("click", () => step(1));
viewer.querySelector("[name=close]").addEventListener("click", () => viewer.close());
viewer.addEventListener("keydown", (event) => {
  if (event.key === "ArrowLeft") step(-1);
  if (event.key === "ArrowRight") step(1);
});
viewer.addEventListener("close", () => current.focus());
if (form) {
  form.hidden = false;
  form.addEventListener("change", arrange);
  form.addEventListener("submit", (event) => event.preventDefault());
  // A browser that goes back keeps what was chosen.
  window.addEventListener("pageshow", arrange);
}
