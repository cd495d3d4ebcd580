// The network view: a diagram, a panel for an edge, tools, the history and the formula. One component for the page of
// the studio and for notebooks, which differ in how requests travel only.

import { Diagram, keyOf } from "./diagram.js";
import { EdgePanel } from "./edge_panel.js";
import { html, number, readable, uniqueId } from "./elements.js";
import { FormulaView } from "./formula_view.js";
import { HistoryList } from "./history_list.js";
import { Tools } from "./tools.js";

// Strength below which edges fade at first, in networks of few and of many edges.
const FADE = { few: 0.15, many: 0.6, edges: 120 };
const TABS = ["Edge", "Tools", "History", "Formula"];

export class NetworkView {
  /**
   * @param {HTMLElement} element where the view is built
   * @param {{send: (request: any) => Promise<any>, stop?: () => void, tabs?: string[]}} options `send` takes
   *   `{id, action, ...}` and promises `{id, ...}` or `{id, error}`; `stop`, where there is one, ends a training
   */
  constructor(element, options) {
    this.send = options.send;
    this.stop = options.stop ?? null;
    this.tabs = (options.tabs ?? TABS).filter((name) => TABS.includes(name));
    this.id = 0;
    this.tab = this.tabs[0];
    this.followed = "";
    /** @type {{network: any, history: any[], busy: any, message: string} | null} */
    this.state = null;
    /** @type {Record<string, {button: any, panel: any}>} */
    this.panels = {};
    this.stage = html("div", { class: "sp-stage" });
    this.diagram = new Diagram(this.stage, {
      open: (edge) => this.open(edge, true),
      hover: (numbers, box) => this.#hover(numbers, box),
    });
    this.#build(element);
  }

  /** @param {{network?: any, history?: any[], busy?: any, message?: string}} state new parts replace the old ones */
  update(state) {
    this.state = { network: null, history: [], busy: null, message: "", ...this.state, ...state };
    const { network, history, busy, message } = this.state;
    if (network !== null && (state.network !== undefined || !this.diagram.network)) {
      if (!this.diagram.network && network.edges.length > FADE.edges) this.fade.value = String(FADE.many);
      this.diagram.fade = Number(this.fade.value);
      this.diagram.draw(network);
      this.tools?.update(network);
      this.remark.textContent = remarks(network);
    }
    const current = history.find((one) => one.current);
    if (state.history !== undefined) {
      this.historyList?.update(history);
      this.undoButton.disabled = current === undefined || current.parent === null;
      this.redoButton.disabled = !history.some((one) => one.parent === current?.id);
      this.#follow(current);
    }
    this.root.classList.toggle("sp-busy", Boolean(busy));
    this.root.setAttribute("aria-busy", String(Boolean(busy)));
    this.busyLine.textContent = busyText(busy);
    if (this.stopButton) this.stopButton.hidden = !busy;
    if (state.message !== undefined) this.#tell(message);
    if (this.tab === "Formula") this.#showFormula();
  }

  /** The state that is shown has changed: the open edge may be gone, or have another curve. */
  #follow(/** @type {any} */ current) {
    const now = current === undefined ? "" : String(current.id);
    if (now === this.followed) return;
    this.followed = now;
    const edge = this.edgePanel?.edge ?? null;
    if (edge === null) return;
    const there = this.state?.network?.edges.some((/** @type {any} */ one) => keyOf(one.edge) === keyOf(edge));
    this.open(there ? edge : null);
  }

  /**
   * Ask for something; the promise fails with the sentence of what went wrong.
   * @param {string} action
   * @param {object} [more]
   */
  async ask(action, more = {}) {
    this.id += 1;
    const answer = await this.send({ id: this.id, action, ...more });
    if (answer.error) throw new Error(answer.error);
    if (answer.state) this.update(answer.state);
    return answer;
  }

  /**
   * Change the session; what goes wrong is told.
   * @param {string} action
   * @param {object} [more]
   */
  async change(action, more = {}) {
    this.#tell("");
    this.root.classList.add("sp-waiting");
    try {
      return await this.ask(action, more);
    } catch (error) {
      this.#tell(String(/** @type {Error} */ (error).message), true);
      return null;
    } finally {
      this.root.classList.remove("sp-waiting");
    }
  }

  /** @param {string} verb @param {object} [given] its arguments */
  step(verb, given = {}) {
    return this.change("do", { step: { verb, arguments: given } });
  }

  /** @param {number[] | null} edge @param {boolean} [focus] whether the panel gets the focus */
  open(edge, focus = false) {
    this.diagram.choose(edge);
    if (edge !== null && focus) this.show("Edge");
    return this.edgePanel?.open(edge, focus);
  }

  /** @param {string} name of a tab */
  show(name) {
    if (!this.tabs.includes(name)) return;
    this.tab = name;
    for (const one of this.tabs) {
      const { button, panel } = this.panels[one];
      const chosen = one === name;
      button.setAttribute("aria-selected", String(chosen));
      button.setAttribute("tabindex", chosen ? "0" : "-1");
      panel.hidden = !chosen;
    }
    if (name === "Formula") this.#showFormula();
  }

  // -- building

  /** @param {HTMLElement} element */
  #build(element) {
    this.tip = html("div", { class: "sp-tip", role: "tooltip", hidden: true });
    this.message = html("div", { class: "sp-message", role: "status", "aria-live": "polite" });
    this.busyLine = html("span", { class: "sp-busy-line", role: "status" });
    this.remark = html("p", { class: "sp-quiet sp-remark" });
    const side = html("div", { class: "sp-side" });
    this.root = html("div", { class: "sp-view", role: "region", "aria-label": "Network" }, this.#toolbar(), html("div", { class: "sp-main" }, html("div", { class: "sp-left" }, this.stage, this.remark), side), this.message, this.tip);
    this.#sidePanels(side);
    this.root.addEventListener("keydown", (/** @type {KeyboardEvent} */ event) => this.#key(event));
    element.replaceChildren(this.root);
  }

  #toolbar() {
    const button = (/** @type {string} */ text, /** @type {string} */ label, /** @type {() => void} */ act) =>
      html("button", { type: "button", class: "sp-icon", "aria-label": label, title: label, onclick: act }, text);
    this.undoButton = button("↶", "Undo (Ctrl+Z)", () => this.change("undo"));
    this.redoButton = button("↷", "Redo (Ctrl+Shift+Z)", () => this.change("redo"));
    this.undoButton.disabled = true;
    this.redoButton.disabled = true;
    const fade = html("input", { type: "range", min: 0, max: 0.95, step: 0.01, value: FADE.few, oninput: () => this.diagram.setFade(Number(fade.value)) });
    this.fade = fade;
    this.stopButton = this.stop === null ? null : html("button", { type: "button", class: "sp-stop", hidden: true, onclick: () => this.stop?.() }, "Stop");
    return html(
      "div",
      { class: "sp-toolbar", role: "toolbar", "aria-label": "View" },
      this.undoButton,
      this.redoButton,
      html("span", { class: "sp-gap" }),
      button("−", "Zoom out", () => this.diagram.zoom(1 / 1.3)),
      button("+", "Zoom in", () => this.diagram.zoom(1.3)),
      button("⤢", "Whole network", () => this.diagram.reset()),
      html("label", { class: "sp-fade", title: "Edges weaker than this fade out" }, html("span", {}, "Fade"), fade),
      html("span", { class: "sp-legend", "aria-hidden": "true" }, html("i", { class: "sp-swatch-spline" }), "spline", html("i", { class: "sp-swatch-symbolic" }), "symbolic"),
      this.busyLine,
      this.stopButton,
    );
  }

  /** @param {HTMLElement} side */
  #sidePanels(side) {
    const list = html("div", { class: "sp-tabs", role: "tablist", "aria-label": "Panels" });
    side.append(list);
    for (const name of this.tabs) {
      const id = uniqueId("panel");
      const button = html("button", { type: "button", role: "tab", id: `${id}-tab`, "aria-controls": id, onclick: () => this.show(name) }, name);
      const panel = html("div", { role: "tabpanel", id, "aria-labelledby": `${id}-tab`, class: "sp-panel", tabindex: "-1" });
      this.panels[name] = { button, panel };
      list.append(button);
      side.append(panel);
    }
    list.addEventListener("keydown", (/** @type {KeyboardEvent} */ event) => {
      const by = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
      if (by === undefined) return;
      event.preventDefault();
      const next = this.tabs[(this.tabs.indexOf(this.tab ?? "") + by + this.tabs.length) % this.tabs.length];
      this.show(next);
      this.panels[next].button.focus();
    });
    const ask = (/** @type {string} */ action, /** @type {object | undefined} */ more) => this.ask(action, more);
    const step = (/** @type {string} */ verb, /** @type {object | undefined} */ given) => this.step(verb, given);
    const change = (/** @type {string} */ action, /** @type {object | undefined} */ more) => this.change(action, more);
    const doomed = (/** @type {number[][]} */ edges) => this.diagram.setDoomed(edges);
    const close = () => {
      const key = this.edgePanel?.edge ? keyOf(this.edgePanel.edge) : "";
      this.open(null);
      this.diagram.focus(key);
    };
    const next = (/** @type {number} */ by) => this.#next(by);
    if (this.panels.Edge) this.edgePanel = new EdgePanel(this.panels.Edge.panel, { ask, step, close, next });
    if (this.panels.Tools) this.tools = new Tools(this.panels.Tools.panel, { ask, step, doomed });
    if (this.panels.History) this.historyList = new HistoryList(this.panels.History.panel, { ask, change });
    if (this.panels.Formula) this.formulaView = new FormulaView(this.panels.Formula.panel, { ask });
    this.edgePanel?.open(null);
    this.show(this.tabs[0]);
  }

  /** @param {number} by to the next or the previous edge in the order of layers */
  #next(by) {
    const edges = this.state?.network?.edges ?? [];
    const now = edges.findIndex((/** @type {any} */ one) => keyOf(one.edge) === keyOf(this.edgePanel?.edge ?? []));
    if (edges.length > 0) this.open(edges[(now + by + edges.length) % edges.length].edge, true);
  }

  #showFormula() {
    const current = this.state?.history.find((one) => one.current);
    if (current !== undefined) this.formulaView?.show(JSON.stringify([current.id, current.parameters, current.error_train]));
  }

  // -- telling

  /** @param {any} numbers @param {DOMRect | null} box on the screen */
  #hover(numbers, box) {
    this.tip.hidden = numbers === null || box === null;
    if (numbers === null || box === null) return;
    const rows = [
      html("strong", {}, `${numbers.start} → ${numbers.end}`),
      html("div", {}, numbers.function === null ? "spline" : `function ${readable(numbers.function)}`),
      html("div", {}, `score ${number(numbers.score)}`),
      html("div", {}, `from ${number(numbers.range[0])} to ${number(numbers.range[1])}`),
      html("div", {}, `values ${number(numbers.values[0])} to ${number(numbers.values[1])}`),
    ];
    if (numbers.frozen) rows.push(html("div", {}, `frozen: ${[...numbers.frozen].join(", ")}`));
    this.tip.replaceChildren(...rows);
    const around = this.root.getBoundingClientRect();
    const right = box.right - around.left + 8;
    const fits = right + this.tip.offsetWidth < around.width;
    this.tip.style.left = `${Math.max(4, fits ? right : box.left - around.left - this.tip.offsetWidth - 8)}px`;
    this.tip.style.top = `${Math.max(4, box.top - around.top)}px`;
  }

  #tell(/** @type {string} */ text, wrong = false) {
    this.message.textContent = text;
    this.message.classList.toggle("sp-wrong", wrong);
    this.message.setAttribute("role", wrong ? "alert" : "status");
  }

  /** @param {KeyboardEvent} event */
  #key(event) {
    if (event.key === "Escape" && !this.tip.hidden) this.tip.hidden = true;
    const typing = event.target instanceof Element && event.target.closest("input[type=text], input[type=number], textarea") !== null;
    if (typing || !(event.ctrlKey || event.metaKey) || event.key.toLowerCase() !== "z") return;
    event.preventDefault();
    event.stopPropagation();
    const button = event.shiftKey ? this.redoButton : this.undoButton;
    if (!button.disabled) button.click();
  }
}

/** @param {any} busy a text, or {text, record} of a training */
function busyText(busy) {
  if (!busy) return "";
  if (typeof busy === "string") return busy;
  const { text, record } = busy;
  if (!record) return text ?? "computing …";
  return `${text ?? "training"}: step ${record.step}, grid ${record.grid_size}, loss ${number(record.train_loss)}, validation ${number(record.validation_loss)}`;
}

/** @param {any} network */
function remarks(network) {
  const parts = [];
  if (network.hidden_edges > 0) parts.push(`${network.hidden_edges} weaker edges are not drawn`);
  if (network.hidden_inputs > 0) parts.push(`${network.hidden_inputs} inputs without edges are not drawn`);
  return parts.length > 0 ? `${parts.join("; ")}.` : "";
}
