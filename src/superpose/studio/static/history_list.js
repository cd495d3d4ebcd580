// The history: each state a line with its errors before and after; branches, names, two states side by side.

import { errorText, html, number } from "./elements.js";
import { mathElement } from "./mathml.js";
import { shapeText } from "./tools.js";

export class HistoryList {
  /**
   * @param {HTMLElement} place
   * @param {{ask: (action: string, more?: object) => Promise<any>, change: (action: string, more?: object) => Promise<any>}} calls
   */
  constructor(place, calls) {
    this.calls = calls;
    this.text = "";
    /** @type {any[]} */
    this.history = [];
    /** @type {Set<number>} */
    this.compared = new Set();
    this.list = html("ol", { class: "sp-history", "aria-label": "Steps" });
    this.beside = html("div", { class: "sp-beside" });
    place.append(this.list, this.beside);
  }

  /** @param {any[]} history */
  update(history) {
    const text = JSON.stringify(history);
    if (text === this.text) return;
    this.text = text;
    this.history = history;
    const byId = new Map(history.map((one) => [one.id, one]));
    const focused = this.list.contains(document.activeElement) ? document.activeElement?.getAttribute("data-state") : null;
    const depth = depths(history);
    this.list.replaceChildren(...history.map((one) => this.#line(one, byId.get(one.parent), depth.get(one.id) ?? 0)));
    if (focused !== null && focused !== undefined) {
      this.list.querySelector(`[data-state="${Number(focused)}"]`)?.focus();
    }
    this.list.querySelector("[aria-current]")?.scrollIntoView({ block: "nearest" });
  }

  /** @param {any} one @param {any} parent @param {number} depth of branches */
  #line(one, parent, depth) {
    const now = one.error_validation ?? one.error_train;
    const before = parent === undefined ? null : (parent.error_validation ?? parent.error_train);
    const change = before === null || now === null || now === before ? "" : now < before ? "sp-better" : "sp-worse";
    // Signs beside the colours, for those who cannot tell these apart.
    const sign = { "": "", "sp-better": "▼ ", "sp-worse": "▲ " }[change];
    const rows = one.error_validation === null ? "training rows" : "validation rows";
    const label = one.name ? `${one.name}: ${one.text}` : one.text;
    const go = html(
      "button",
      {
        type: "button",
        class: "sp-state",
        "data-state": one.id,
        "aria-current": one.current ? "step" : null,
        title: one.note || null,
        onclick: () => this.calls.change("go", { node: one.id }),
      },
      html("span", { class: "sp-state-text" }, one.name ? html("strong", {}, `${one.name} `) : null, one.text),
      html(
        "span",
        { class: "sp-state-numbers" },
        before === null ? null : html("span", {}, `${errorText(before, one.measure)} → `),
        html("span", { class: change, title: `${one.measure} on ${rows}` }, `${sign}${errorText(now, one.measure)}`),
        one.loss_train === null ? null : html("span", { class: "sp-quiet" }, ` · cross-entropy ${number(one.loss_validation ?? one.loss_train)}`),
        html("span", { class: "sp-quiet" }, ` · ${shapeText(one.shape)}, ${one.edges} edges, ${one.symbolic} symbolic`),
      ),
    );
    const compare = html("input", { type: "checkbox", "aria-label": `Compare step ${one.id}: ${label}`, title: "Compare", onchange: () => this.#compare(one.id, compare.checked) });
    compare.checked = this.compared.has(one.id);
    const name = html("button", { type: "button", class: "sp-icon", "aria-label": `Name step ${one.id}`, title: "Give it a name", onclick: () => this.#rename(line, one) }, "✎");
    const line = html("li", { class: one.current ? "sp-current" : "" }, compare, go, name);
    // Not as an attribute, which the policy of the page refuses.
    line.style.setProperty("--depth", String(Math.min(depth, 6)));
    return line;
  }

  /** @param {HTMLElement} line @param {any} one */
  #rename(line, one) {
    const input = html("input", { type: "text", maxlength: 200, "aria-label": `Name of step ${one.id}`, value: one.name });
    const form = html(
      "form",
      {
        class: "sp-row",
        onsubmit: (/** @type {Event} */ event) => {
          event.preventDefault();
          this.text = "";
          this.calls.change("name", { node: one.id, text: input.value });
        },
        onkeydown: (/** @type {KeyboardEvent} */ event) => {
          if (event.key !== "Escape") return;
          event.stopPropagation();
          this.text = "";
          this.update(/** @type {any[]} */ (this.history));
        },
      },
      input,
      html("button", { type: "submit" }, "Name it"),
    );
    line.replaceChildren(form);
    input.focus();
  }

  /** @param {number} id @param {boolean} on */
  async #compare(id, on) {
    if (on) this.compared.add(id);
    else this.compared.delete(id);
    // Of three the oldest choice goes.
    if (this.compared.size > 2) {
      const [first] = this.compared;
      this.compared.delete(first);
      const box = this.list.querySelector(`[data-state="${first}"]`)?.parentElement?.querySelector("input");
      if (box) box.checked = false;
    }
    if (this.compared.size < 2) {
      this.beside.replaceChildren();
      return;
    }
    const chosen = (this.history ?? []).filter((one) => this.compared.has(one.id));
    this.beside.replaceChildren(html("p", { class: "sp-quiet", role: "status" }, "Reading the formulas …"));
    const formulas = await Promise.all(chosen.map((one) => this.calls.ask("formula", { node: one.id }).catch((error) => ({ failure: error.message }))));
    if (chosen.some((one) => !this.compared.has(one.id))) return;
    this.beside.replaceChildren(besideTable(chosen, formulas));
  }
}

/** @param {any[]} states @param {any[]} formulas */
function besideTable(states, formulas) {
  const row = (/** @type {string} */ name, /** @type {(one: any, k: number) => any} */ value) =>
    html("tr", {}, html("th", { scope: "row" }, name), ...states.map((one, k) => html("td", {}, value(one, k))));
  return html(
    "table",
    { class: "sp-table" },
    html("caption", {}, "Side by side"),
    html("thead", {}, html("tr", {}, html("td"), ...states.map((one) => html("th", { scope: "col" }, one.name || `${one.id}. ${one.text}`)))),
    html(
      "tbody",
      {},
      row("training", (one) => errorText(one.error_train, one.measure)),
      row("validation", (one) => errorText(one.error_validation, one.measure)),
      row("shape", (one) => shapeText(one.shape)),
      row("edges", (one) => `${one.edges}, ${one.symbolic} symbolic`),
      row("constants", (one) => number(one.parameters, 6)),
      row("formula", (_, k) => formulaCell(formulas[k])),
    ),
  );
}

/** @param {any} found */
function formulaCell(found) {
  if (found.failure) return found.failure;
  return html("div", { class: "sp-formula" }, ...found.mathml.map((/** @type {any[]} */ tree) => mathElement(tree)));
}

/** How many branches begin between the first state and each: the first child of a state goes on with its branch. */
function depths(/** @type {any[]} */ history) {
  const depth = new Map();
  const first = new Set();
  for (const one of history) {
    if (one.parent === null) depth.set(one.id, 0);
    else {
      depth.set(one.id, (depth.get(one.parent) ?? 0) + (first.has(one.parent) ? 1 : 0));
      first.add(one.parent);
    }
  }
  return depth;
}
