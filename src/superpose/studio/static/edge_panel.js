// The panel of one edge: its plot, candidates to set, other verbs, and a stretch of its curve that is dragged.

import { CurvePlot } from "./curve_plot.js";
import { debounced, errorText, html, number, readable, uniqueId } from "./elements.js";

// Points of a dragged stretch, and its width at first as a share of the curve's.
const POINTS = 13;
const WIDTH = 0.3;

export class EdgePanel {
  /**
   * @param {HTMLElement} place
   * @param {{ask: (action: string, more?: object) => Promise<any>, step: (verb: string, given?: object) => Promise<any>,
   *   close: () => void, next: (by: number) => void}} calls
   */
  constructor(place, calls) {
    this.place = place;
    this.calls = calls;
    /** @type {number[] | null} */
    this.edge = null;
    this.slope = false;
    this.toTargets = false;
    this.dragging = false;
    this.asked = 0;
    /** @type {{where: HTMLInputElement, width: HTMLInputElement, by: HTMLInputElement} | null} */
    this.handles = null;
    this.effect = debounced(() => this.#dragEffect());
  }

  /** @param {number[] | null} edge @param {boolean} [focus] */
  async open(edge, focus = false) {
    this.edge = edge;
    this.dragging = false;
    this.handles = null;
    this.place.classList.remove("sp-is-dragging");
    if (edge === null) {
      this.place.replaceChildren(html("p", { class: "sp-quiet" }, "Choose an edge of the diagram: a click, or the arrow keys and Enter."));
      return;
    }
    this.asked += 1;
    const mine = this.asked;
    this.place.setAttribute("aria-busy", "true");
    try {
      const panel = await this.calls.ask("edge", { edge, candidates: false });
      if (mine !== this.asked) return;
      this.panel = panel;
      this.#build();
      if (focus) this.place.querySelector("h3")?.focus();
      const whole = await this.calls.ask("edge", { edge, candidates: true });
      if (mine !== this.asked) return;
      this.panel.candidates = whole.candidates;
      this.#listCandidates();
    } catch (error) {
      if (mine === this.asked) this.place.replaceChildren(html("p", { class: "sp-quiet" }, String(/** @type {Error} */ (error).message)));
    } finally {
      if (mine === this.asked) this.place.removeAttribute("aria-busy");
    }
  }

  /** The same edge anew, after a step. */
  reload() {
    return this.open(this.edge);
  }

  #build() {
    const { panel } = this;
    const edge = /** @type {number[]} */ (this.edge);
    const title = html("h3", { tabindex: "-1" }, `${panel.start} → ${panel.end}`);
    const head = html(
      "div",
      { class: "sp-panel-head" },
      title,
      html("button", { type: "button", class: "sp-icon", "aria-label": "Previous edge", title: "Previous edge", onclick: () => this.calls.next(-1) }, "‹"),
      html("button", { type: "button", class: "sp-icon", "aria-label": "Next edge", title: "Next edge", onclick: () => this.calls.next(1) }, "›"),
      html("button", { type: "button", class: "sp-icon", "aria-label": "Close the edge", title: "Close", onclick: () => this.calls.close() }, "×"),
    );
    const plain = panel.described.map((/** @type {string} */ line) => html("p", { class: "sp-described" }, line));
    const plotPlace = html("div", { class: "sp-plot-place" });
    this.plot = new CurvePlot(plotPlace);
    const slope = html("input", { type: "checkbox", onchange: () => this.#draw() });
    slope.checked = this.slope;
    this.slopeBox = slope;
    const dragBox = html("input", { type: "checkbox", onchange: () => this.#setDragging(dragBox.checked) });
    const options = html("div", { class: "sp-row" }, html("label", { class: "sp-check" }, slope, "Derivative"));
    if (panel.function === null) options.append(html("label", { class: "sp-check" }, dragBox, "Drag the curve"));
    this.dragPlace = html("div", { class: "sp-drag", hidden: true });
    this.list = html("div", { class: "sp-candidates" });
    const actions = html("div", { class: "sp-row" });
    if (panel.function !== null) actions.append(this.#button("Free", "release", { edge }, "A spline again, close to the same curve"));
    actions.append(this.#button("Remove", "remove", { edge }, "Without this edge; its mean goes to another one"));
    if (edge[0] === 0) {
      actions.append(this.#button("Make linear", "linear", { column: panel.start }, "Every edge from this column a straight line, refitted"));
    }
    const key = html(
      "p",
      { class: "sp-key" },
      html("span", { class: "sp-key-knots" }, "knots"),
      html("span", { class: "sp-key-density" }, "rows of the table"),
      panel.band === null ? null : html("span", { class: "sp-key-band" }, "two standard errors"),
    );
    // What was clicked is gone with the old panel; the focus stays in the panel, so that the keyboard goes on.
    const had = this.place.contains(document.activeElement);
    this.place.replaceChildren(head, ...plain, plotPlace, key, options, this.dragPlace, actions, ...this.#constants(), this.list);
    if (had) title.focus({ preventScroll: true });
    this.#draw();
    this.list.append(html("p", { class: "sp-quiet" }, "Looking for functions like this curve …"));
  }

  /** @param {string} text @param {string} verb @param {object} given @param {string} title */
  #button(text, verb, given, title) {
    return html("button", { type: "button", title, onclick: () => this.calls.step(verb, given) }, text);
  }

  #draw() {
    this.slope = this.slopeBox.checked;
    const { panel } = this;
    const { x, y } = panel.curve;
    const values = y.filter((/** @type {number | null} */ one) => one !== null);
    const label =
      `${this.slope ? "Derivative" : "Curve"} of ${panel.start} to ${panel.end} from ${number(x[0])} to ${number(x[x.length - 1])}, ` +
      `values ${number(Math.min(...values))} to ${number(Math.max(...values))}`;
    this.plot?.draw(panel, { slope: this.slope, label });
    if (this.dragging && this.handles) this.#showDrag();
  }

  /** The constants of a symbolic edge, to be set and frozen. @returns {Node[]} */
  #constants() {
    const { panel } = this;
    if (panel.function === null || panel.constants === null) return [];
    const fields = [..."abcd"].map((letter, k) => {
      const text = String(Number(panel.constants[k].toPrecision(6)));
      const value = html("input", { type: "text", size: 9, value: text, "aria-label": letter, autocomplete: "off" });
      const frozen = html("input", { type: "checkbox", "aria-label": `Freeze ${letter}`, title: "Frozen: training and refitting leave it as it is" });
      frozen.checked = panel.frozen.includes(letter);
      // A number that was not touched keeps its digits.
      const read = () => (value.value === text ? panel.constants[k] : Number(value.value));
      return { letter, read, frozen, row: html("div", { class: "sp-constant" }, html("span", {}, letter), value, frozen) };
    });
    const form = html(
      "form",
      {
        onsubmit: (/** @type {Event} */ event) => {
          event.preventDefault();
          const letters = fields.filter((one) => one.frozen.checked).map((one) => one.letter);
          this.calls.step("fix", {
            edge: this.edge,
            function: panel.function,
            constants: fields.map((one) => one.read()),
            frozen: letters.join(""),
            units: "table",
          });
        },
      },
      html("div", { class: "sp-constant sp-quiet", "aria-hidden": "true" }, html("span"), html("span", {}, "value"), html("span", {}, "frozen")),
      ...fields.map((one) => one.row),
      html("div", { class: "sp-row" }, html("button", { type: "submit" }, "Set constants")),
    );
    return [html("details", {}, html("summary", {}, "Constants of c·f(a·x + b) + d"), form)];
  }

  // -- candidates

  #listCandidates() {
    const { panel } = this;
    const edge = /** @type {number[]} */ (this.edge);
    const verb = () => (this.toTargets ? "replace" : "fix");
    const set = (/** @type {string} */ name) => this.calls.step(verb(), { edge, function: name });
    const rows = panel.candidates.map((/** @type {any} */ one) => {
      const show = () => this.slope || this.plot?.over(one.y);
      const hide = () => this.slope || this.plot?.over(null);
      const current = one.function === panel.function;
      const button = html(
        "button",
        {
          type: "button",
          class: "sp-candidate-row",
          "data-function": one.function,
          "aria-current": current ? "true" : null,
          onclick: () => set(one.function),
          onpointerenter: show,
          onpointerleave: hide,
          onfocus: show,
          onblur: hide,
        },
        html("span", { class: "sp-function" }, unseen("Set to "), readable(one.function)),
        html("span", { class: "sp-r2" }, unseen(", R² "), share(one.r2)),
        html("span", { class: "sp-complexity" }, unseen(", complexity "), String(one.complexity)),
      );
      return html("li", {}, button);
    });
    const id = uniqueId("functions");
    const input = html("input", { type: "text", list: id, size: 9, "aria-label": "Another function", placeholder: "another …", autocomplete: "off", spellcheck: "false" });
    const other = html(
      "form",
      {
        class: "sp-row",
        onsubmit: (/** @type {Event} */ event) => {
          event.preventDefault();
          if (input.value.trim()) set(input.value.trim());
        },
      },
      input,
      html("datalist", { id }, ...panel.functions.map((/** @type {string} */ name) => html("option", { value: name }))),
      html("button", { type: "submit" }, "Set"),
    );
    const targets = html("input", { type: "checkbox", onchange: () => { this.toTargets = targets.checked; } });
    targets.checked = this.toTargets;
    const head = html(
      "div",
      { class: "sp-candidate-head", "aria-hidden": "true" },
      html("span", {}, "function"),
      html("span", { class: "sp-r2" }, "R²"),
      html("span", { class: "sp-complexity" }, "complexity"),
    );
    this.list.replaceChildren(
      html("h4", {}, "Functions like this curve"),
      head,
      html("ul", { class: "sp-plain" }, ...rows),
      other,
      html("label", { class: "sp-check", title: "Constants from the targets, through the whole network, and not from the curve" }, targets, "Fit its constants to the target"),
    );
  }

  // -- dragging

  /** @param {boolean} on */
  #setDragging(on) {
    this.dragging = on;
    this.dragPlace.hidden = !on;
    this.place.classList.toggle("sp-is-dragging", on);
    if (!this.plot) return;
    this.handles = null;
    if (!on) {
      this.plot.ondrag = null;
      this.plot.showDrag(null);
      this.dragPlace.replaceChildren();
      return;
    }
    this.slopeBox.checked = false;
    this.#draw();
    const slider = (/** @type {string} */ label, /** @type {number} */ value, /** @type {number} */ low = 0) => {
      const input = html("input", { type: "range", min: low, max: 1, step: 0.01, value, oninput: () => this.#moved() });
      return { input, row: html("label", { class: "sp-slider" }, html("span", {}, label), input) };
    };
    const where = slider("Place", 0.5);
    const width = slider("Width", WIDTH, 0.05);
    const by = slider("Up or down", 0, -1);
    this.handles = { where: where.input, width: width.input, by: by.input };
    this.told = html("p", { class: "sp-effect", role: "status" }, "Drag the curve up or down, or use the sliders.");
    const keep = html("button", { type: "button", class: "sp-primary", disabled: true, onclick: () => this.#keepDrag() }, "Keep");
    this.keep = keep;
    this.dragPlace.replaceChildren(where.row, width.row, by.row, this.told, html("div", { class: "sp-row" }, keep));
    this.plot.ondrag = (x, dy) => {
      if (!this.plot) return;
      const { low, high } = this.plot.x;
      where.input.value = String((x - low) / (high - low));
      by.input.value = String(dy / (this.plot.y.high - this.plot.y.low));
      this.#moved();
    };
    this.#showDrag();
  }

  /** The course of the stretch: the curve, raised by a smooth hump of the width and the height of the sliders. */
  #course() {
    const plot = /** @type {CurvePlot} */ (this.plot);
    const { x, y } = this.panel.curve;
    const { low, high } = plot.x;
    const middle = low + Number(this.handles?.where.value) * (high - low);
    const half = (Number(this.handles?.width.value) * (high - low)) / 2;
    const height = Number(this.handles?.by.value) * (plot.y.high - plot.y.low);
    const { bins } = this.panel.density;
    // Within the rows' range, which the knots cover.
    const from = Math.max(bins[0], middle - half);
    const to = Math.min(bins[bins.length - 1], middle + half);
    const at = [];
    const raised = [];
    for (let k = 0; k < POINTS; k += 1) {
      const place = from + ((to - from) * k) / (POINTS - 1);
      const hump = Math.max(-1, Math.min(1, (place - middle) / half));
      const near = ((place - low) / (high - low)) * (x.length - 1);
      const left = Math.min(x.length - 2, Math.max(0, Math.floor(near)));
      const value = (y[left] ?? 0) + (near - left) * ((y[left + 1] ?? 0) - (y[left] ?? 0));
      at.push(place);
      raised.push(value + height * Math.cos((Math.PI / 2) * hump) ** 2);
    }
    return { x: at, y: raised };
  }

  #showDrag() {
    this.plot?.showDrag(this.#course());
  }

  #moved() {
    this.#showDrag();
    if (this.keep) this.keep.disabled = Number(this.handles?.by.value) === 0;
    this.effect();
  }

  async #dragEffect() {
    if (!this.dragging || !this.told || Number(this.handles?.by.value) === 0) return;
    try {
      const found = await this.calls.ask("preview", { step: { verb: "drag", arguments: { edge: this.edge, ...this.#course() } } });
      this.told.textContent = effectText(found);
    } catch (error) {
      this.told.textContent = String(/** @type {Error} */ (error).message);
    }
  }

  #keepDrag() {
    return this.calls.step("drag", { edge: this.edge, ...this.#course() });
  }
}

/**
 * What a step would do to the errors, in words.
 * @param {any} found a preview
 */
export function effectText(found) {
  const before = found.before;
  const parts = [`training ${errorText(before.error_train, found.measure)} → ${errorText(found.error_train, found.measure)}`];
  if (found.error_validation !== null || before.error_validation !== null) {
    parts.push(`validation ${errorText(before.error_validation, found.measure)} → ${errorText(found.error_validation, found.measure)}`);
  }
  return `${found.measure === "RMSE" ? "Error (RMSE)" : "Wrong classes"}: ${parts.join(", ")}.`;
}

/** @param {string} text for screen readers only: sighted people see the head of the table */
function unseen(text) {
  return html("span", { class: "sp-unseen" }, text);
}

/** @param {number} r2 a share with as many nines as it has, up to six */
function share(r2) {
  if (r2 > 0.9999995) return "1.000000";
  return r2 > 0.999 ? r2.toFixed(6) : r2.toFixed(3).replace("-", "−");
}
