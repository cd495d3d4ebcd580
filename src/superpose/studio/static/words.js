// Words of the field, each with a tip that says what it is; docs/glossary.md has more.

import { h } from "./dom.js";

const WORDS = {
  target: "The column to be learnt.",
  feature: "A column to learn from.",
  linear: "A column that enters as A + column × B.",
  combined: "Two columns that enter together, such as x/y or u-v.",
  weights: "A column that says how much each row counts.",
  "validation rows": "Rows that training does not see; they choose among models.",
  "test rows": "Rows that nothing sees until the end; they judge the result.",
  RMSE: "Root mean squared error, in the units of the target.",
  "R²": "The share of the target's variance that is explained; 1 is perfect.",
  complexity: "How many symbols a formula has: names, numbers, functions and signs.",
  front: "The formulas that no simpler one surpasses, from simple to accurate.",
  edge: "A line of the network: a function of one number.",
  spline: "A smooth curve made of polynomials that meet at knots.",
  sparsity: "How strongly training presses idle edges to zero.",
  grid: "The intervals on which the polynomials of a spline stand.",
  prune: "Remove the edges and nodes that matter little.",
  refit: "Fit the constants of the functions on the edges once more.",
  interval: "Holds the target with a probability of 90%.",
  "partial dependence": "The mean prediction as one column moves and the others stay.",
  residual: "Measured minus predicted.",
};

let tip = null;

function hide() {
  tip?.remove();
  tip = null;
}

function show(event) {
  hide();
  const word = event.currentTarget;
  tip = h("div", { class: "tip", role: "tooltip", id: "tip" }, word.dataset.tip);
  document.body.append(tip);
  const place = word.getBoundingClientRect();
  const left = Math.min(place.left, window.innerWidth - tip.offsetWidth - 12);
  tip.style.left = `${Math.max(8, left) + window.scrollX}px`;
  tip.style.top = `${place.bottom + 6 + window.scrollY}px`;
  word.setAttribute("aria-describedby", "tip");
}

document.addEventListener("keydown", (event) => {
  if (event.key === "Escape") hide();
});

// A word with its tip, shown under the mouse and on focus.
export function term(word, text = word) {
  const says = WORDS[word];
  if (!says) return document.createTextNode(text);
  return h("span", {
    class: "term", tabindex: "0", role: "note", "data-tip": says, "aria-label": `${text}: ${says}`,
    onmouseenter: show, onmouseleave: hide, onfocus: show, onblur: hide,
  }, text);
}
