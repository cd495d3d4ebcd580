// What is done to the whole network: pruning by a slider, straighten, merge, refit, refine, train.

import { effectText } from "./edge_panel.js";
import { debounced, html, number, shortened } from "./elements.js";

// The pruning slider is logarithmic between these scores; 0.01 is where `prune` cuts by itself.
const SCORES = { least: 1e-3, most: 1, first: 1e-2 };
// The sparsity slider: off, then powers of ten.
const SPARSITY = [0, 1e-5, 1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 3e-2, 1e-1];

/** @param {string} text @param {Node} input @param {string} [tip] */
function field(text, input, tip) {
  return html("label", { class: "sp-field", title: tip ?? null }, html("span", {}, text), input);
}

export class Tools {
  /**
   * @param {HTMLElement} place
   * @param {{ask: (action: string, more?: object) => Promise<any>, step: (verb: string, given?: object) => Promise<any>,
   *   doomed: (edges: number[][]) => void}} calls
   */
  constructor(place, calls) {
    this.calls = calls;
    /** @type {any} */
    this.network = null;
    this.asked = 0;
    this.ask = debounced(() => this.#effect());
    place.append(this.#pruning(), this.#verbs(), this.#columns(), this.#refining(), this.#training());
  }

  /** @param {any} network */
  update(network) {
    this.network = network;
    this.told.textContent = "";
    this.pruneButton.disabled = true;
    if (this.active) this.#slide();
    const used = new Set(network.edges.filter((/** @type {any} */ one) => one.edge[0] === 0).map((/** @type {any} */ one) => one.start));
    const names = network.features.filter((/** @type {string} */ name) => used.has(name));
    if (names.join("\n") !== this.names) {
      this.names = names.join("\n");
      this.column.replaceChildren(...names.map((/** @type {string} */ name) => html("option", { value: name }, shortened(name, 28))));
    }
  }

  get threshold() {
    const share = Number(this.slider.value);
    return Number((SCORES.least * (SCORES.most / SCORES.least) ** share).toPrecision(2));
  }

  #pruning() {
    const first = Math.log(SCORES.first / SCORES.least) / Math.log(SCORES.most / SCORES.least);
    this.slider = html("input", { type: "range", min: 0, max: 1, step: 0.01, value: first, oninput: () => this.#slide(true) });
    this.value = html("output", {}, number(SCORES.first));
    this.told = html("p", { class: "sp-effect", role: "status" });
    this.pruneButton = html("button", { type: "button", class: "sp-primary", disabled: true, onclick: () => this.#prune() }, "Prune");
    const section = html(
      "section",
      { "aria-label": "Prune" },
      html("h3", {}, "Prune"),
      html("p", { class: "sp-quiet" }, "Edges with an attribution score below the slider are marked; nothing is done yet."),
      html("label", { class: "sp-slider" }, html("span", {}, "Score below"), this.slider, this.value),
      this.told,
      html("div", { class: "sp-row" }, this.pruneButton),
    );
    // Edges are marked only while someone is about to prune.
    section.addEventListener("focusin", () => this.#begin());
    section.addEventListener("focusout", (/** @type {FocusEvent} */ event) => {
      if (!section.contains(/** @type {Node | null} */ (event.relatedTarget))) this.#end();
    });
    return section;
  }

  #begin() {
    if (this.active) return;
    this.active = true;
    this.#slide();
  }

  #end() {
    this.active = false;
    this.asked += 1;
    this.calls.doomed([]);
    this.told.textContent = "";
  }

  #slide(touched = false) {
    if (touched) this.active = true;
    this.value.textContent = number(this.threshold);
    const edges = this.network?.edges ?? [];
    // At once by the scores; the answer says which of them an output needs, and what falls with them.
    this.calls.doomed(edges.filter((/** @type {any} */ one) => one.score < this.threshold).map((/** @type {any} */ one) => one.edge));
    this.ask();
  }

  async #effect() {
    if (!this.active) return;
    this.asked += 1;
    const mine = this.asked;
    try {
      const found = await this.calls.ask("preview", { step: { verb: "prune", arguments: { threshold: this.threshold } } });
      if (mine !== this.asked) return;
      this.calls.doomed(found.removed);
      const left = `${found.before.edges - found.edges} of ${found.before.edges} edges go, ${shapeText(found.shape)} stays.`;
      this.told.textContent = `${left} ${effectText(found)}`;
      this.pruneButton.disabled = false;
    } catch (error) {
      if (mine !== this.asked) return;
      this.calls.doomed([]);
      this.told.textContent = String(/** @type {Error} */ (error).message);
      this.pruneButton.disabled = true;
    }
  }

  async #prune() {
    const { threshold } = this;
    this.#end();
    await this.calls.step("prune", { threshold });
  }

  #verbs() {
    const one = (/** @type {string} */ text, /** @type {string} */ verb, /** @type {string} */ title) =>
      html("button", { type: "button", title, onclick: () => this.calls.step(verb) }, text);
    return html(
      "section",
      { "aria-label": "Whole network" },
      html("h3", {}, "Whole network"),
      html(
        "div",
        { class: "sp-row" },
        one("Refit", "refit", "Fit all free constants again, symbolic and spline"),
        one("Straighten", "straighten", "The same function with as few and as straight curves as the data allow"),
        one("Merge", "merge", "Hidden nodes with the same function become one"),
      ),
    );
  }

  #columns() {
    this.column = html("select", {});
    const act = (/** @type {string} */ text, /** @type {string} */ title, /** @type {() => any} */ run) => html("button", { type: "button", title, onclick: run }, text);
    return html(
      "section",
      { "aria-label": "One column" },
      html("h3", {}, "One column"),
      html(
        "div",
        { class: "sp-row" },
        field("Column", this.column),
        act("Remove", "Without all edges of this column", () => this.calls.step("prune", { inputs: [this.column.value] })),
        act("Make linear", "Every edge from this column a straight line, refitted", () => this.calls.step("linear", { column: this.column.value })),
      ),
    );
  }

  #refining() {
    const size = html("input", { type: "number", min: 1, max: 1000, step: 1, value: 10 });
    this.size = size;
    return html(
      "form",
      {
        "aria-label": "Refine the grids",
        onsubmit: (/** @type {Event} */ event) => {
          event.preventDefault();
          this.calls.step("refine", { grid_size: Number(size.value) });
        },
      },
      html("h3", {}, "Refine the grids"),
      html(
        "div",
        { class: "sp-row" },
        field("Intervals", size, "Intervals of each curve's grid; the curves stay as they are"),
        html("button", { type: "submit" }, "Refine"),
      ),
    );
  }

  #training() {
    const optimizer = html("select", {}, ...["lm", "lbfgs", "adamw"].map((name) => html("option", { value: name }, name)));
    const steps = html("input", { type: "number", min: 1, max: 100000, step: 1, value: 40 });
    const grids = html("input", { type: "text", size: 9, placeholder: "automatic", autocomplete: "off", spellcheck: "false" });
    const sparsity = html("input", { type: "range", min: 0, max: SPARSITY.length - 1, step: 1, value: 0 });
    const strength = html("output", {}, "off");
    sparsity.addEventListener("input", () => {
      const value = SPARSITY[Number(sparsity.value)];
      strength.textContent = value ? number(value) : "off";
    });
    return html(
      "form",
      {
        "aria-label": "Train",
        onsubmit: (/** @type {Event} */ event) => {
          event.preventDefault();
          const sizes = grids.value.split(/[^0-9]+/).filter(Boolean).map(Number);
          this.calls.step("train", {
            optimizer: optimizer.value,
            steps: steps.value ? Number(steps.value) : null,
            grids: sizes.length > 0 ? sizes : null,
            sparsity: SPARSITY[Number(sparsity.value)] || null,
          });
        },
      },
      html("h3", {}, "Train"),
      html("label", { class: "sp-slider", title: "A penalty that makes idle edges small, so that they can be pruned" }, html("span", {}, "Sparsity"), sparsity, strength),
      html(
        "div",
        { class: "sp-row" },
        field("Optimiser", optimizer, "lm is Levenberg-Marquardt"),
        field("Steps", steps, "Steps on each grid"),
        field("Grids", grids, "Grid sizes one after another, such as 5 10; automatic doubles the grid while that helps"),
        html("button", { type: "submit", class: "sp-primary" }, "Train"),
      ),
    );
  }
}

/** @param {any[]} shape as superpose.KAN takes it */
export function shapeText(shape) {
  return JSON.stringify(shape).replace(/,/g, ", ");
}
