// The formula of the present state: typeset, with its constants and errors, to be copied.

import { html, number } from "./elements.js";
import { mathElement } from "./mathml.js";

export class FormulaView {
  /**
   * @param {HTMLElement} place
   * @param {{ask: (action: string, more?: object) => Promise<any>}} calls
   */
  constructor(place, calls) {
    this.place = place;
    this.calls = calls;
    this.state = "";
  }

  /** @param {string} state by which a change is noticed; read only when the formula is looked at */
  async show(state) {
    if (state === this.state) return;
    this.state = state;
    this.place.replaceChildren(html("p", { class: "sp-quiet", role: "status" }, "Reading the formula …"));
    try {
      const found = await this.calls.ask("formula");
      if (state !== this.state) return;
      this.place.replaceChildren(...this.#parts(found));
    } catch (error) {
      if (state !== this.state) return;
      this.state = "";
      this.place.replaceChildren(html("p", { class: "sp-quiet" }, String(/** @type {Error} */ (error).message)));
    }
  }

  /** @param {any} found @returns {Node[]} */
  #parts(found) {
    const parts = [html("div", { class: "sp-formula", tabindex: "0", role: "group", "aria-label": "Formula" }, ...found.mathml.map((/** @type {any[]} */ tree) => mathElement(tree)))];
    if (found.rule !== null) parts.push(html("p", {}, found.rule));
    if (found.splines.length > 0) {
      parts.push(html("p", { class: "sp-quiet" }, `${found.splines.length} curves are splines. Set functions on their edges to get a formula of constants.`));
    }
    const copied = html("span", { class: "sp-quiet", role: "status" });
    const copy = (/** @type {string} */ name, /** @type {() => Promise<string> | string} */ text) =>
      html("button", {
        type: "button",
        onclick: async () => {
          try {
            await navigator.clipboard.writeText(await text());
            copied.textContent = `${name} copied`;
          } catch (error) {
            copied.textContent = String(/** @type {Error} */ (error).message);
          }
        },
      }, name);
    const code = (/** @type {string} */ language) => async () => (await this.calls.ask("code", { language })).code;
    parts.push(
      html(
        "div",
        { class: "sp-row", role: "group", "aria-label": "Copy the formula" },
        html("span", { class: "sp-quiet" }, "Copy as"),
        copy("text", () => found.texts.join("\n")),
        copy("LaTeX", () => found.latex),
        copy("Python", code("python")),
        copy("NumPy", code("numpy")),
        copy("SymPy", code("sympy")),
        copy("torch", code("torch")),
        copied,
      ),
    );
    const errors = Object.entries(found.errors).filter(([, value]) => value !== null);
    if (errors.length > 0) {
      parts.push(html("p", {}, `Error (RMSE): ${errors.map(([split, value]) => `${split} ${number(/** @type {number} */ (value))}`).join(", ")}.`));
    }
    if (found.constants.length > 0) parts.push(constantsTable(found.constants));
    return parts;
  }
}

/** @param {{value: number, standard_error: number | null}[]} constants */
function constantsTable(constants) {
  return html(
    "table",
    { class: "sp-table" },
    html("caption", {}, "Constants"),
    html("thead", {}, html("tr", {}, html("th", { scope: "col" }, "value"), html("th", { scope: "col" }, "standard error"))),
    html("tbody", {}, ...constants.map((one) => html("tr", {}, html("td", {}, number(one.value, 6)), html("td", {}, number(one.standard_error, 2))))),
  );
}
