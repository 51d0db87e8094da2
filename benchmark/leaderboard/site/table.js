"use strict";
// Buttons that sort and a field that filters. Without this script the tables read as they are.
const collator = new Intl.Collator("en", { numeric: true, sensitivity: "base" });

function value(row, place) {
  const cell = row.cells[place];
  if (cell.dataset.order !== undefined) return Number(cell.dataset.order);
  const text = cell.textContent.trim();
  return text === "-" ? "" : text;
}

// A missing value comes last in either direction; equal ones keep the board's order.
function comparison(place, sign) {
  return (a, b) => {
    const [x, y] = [value(a, place), value(b, place)];
    if (x === "" || y === "") return (x === "") - (y === "");
    const numbers = typeof x === "number" && typeof y === "number";
    return sign * (numbers ? x - y : collator.compare(String(x), String(y)));
  };
}

function sortable(table) {
  const heads = [...table.tHead.rows[0].cells];
  // Runs, ceilings and floors stand apart, however they are sorted.
  const bodies = [...table.tBodies].map((body) => ({ body, rows: [...body.rows] }));
  heads.forEach((head, place) => {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...head.childNodes);
    head.append(button);
    const [first, second] = head.dataset.first === "descending"
      ? ["descending", "ascending"] : ["ascending", "descending"];
    button.addEventListener("click", () => {
      // First one direction, then the other, then the board's own order.
      const now = head.getAttribute("aria-sort");
      const next = now === first ? second : now === second ? null : first;
      for (const each of heads) each.removeAttribute("aria-sort");
      if (next) head.setAttribute("aria-sort", next);
      for (const { body, rows } of bodies) {
        const order = next ? [...rows].sort(comparison(place, next === "ascending" ? 1 : -1)) : rows;
        body.append(...order);
      }
    });
  });
}

function filtered(form) {
  const rows = [...document.getElementById(form.dataset.table).tBodies].flatMap((b) => [...b.rows]);
  const texts = rows.map((row) => row.textContent.toLowerCase());
  const field = form.querySelector("input"), told = form.querySelector("output");
  const apply = () => {
    const words = field.value.toLowerCase().split(/\s+/).filter(Boolean);
    let shown = 0;
    rows.forEach((row, at) => {
      row.hidden = !words.every((word) => texts[at].includes(word));
      shown += !row.hidden;
    });
    told.textContent = words.length ? `${shown} of ${rows.length} rows` : "";
  };
  form.hidden = false;
  form.addEventListener("submit", (event) => event.preventDefault());
  field.addEventListener("input", apply);
  // A browser that goes back keeps what was typed.
  window.addEventListener("pageshow", apply);
}

for (const table of document.querySelectorAll("table.sortable")) sortable(table);
for (const form of document.querySelectorAll("form.filter")) filtered(form);
