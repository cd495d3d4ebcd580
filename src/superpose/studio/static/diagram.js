// The diagram of a network: boxes with curves, zoom and pan, one edge after another by the keyboard.

import { linePath, number, readable, shortened, svg } from "./elements.js";

/**
 * @typedef {{edge: number[], from: number[], to: number[], start: string, end: string, status: string,
 *   function: string | null, frozen: string, strength: number, score: number, box: number[], lines: number[][][],
 *   shown: (number | null)[], range: number[], values: number[]}} EdgeNumbers
 * @typedef {{shape: any[], layout: {width: number, height: number, box: number, tag: number},
 *   nodes: {node: number[], kind: string, product: boolean, name: string, x: number, y: number}[],
 *   factors: {level: number, sum: number, x: number, y: number}[], edges: EdgeNumbers[],
 *   hidden_edges: number, hidden_inputs: number}} NetworkNumbers
 */

// Units of the drawing for each inch of the layout, its least margins, and letters of names: their size and mean width.
const SCALE = 100;
const MARGIN = { x: 40, y: 46 };
const LETTER = { size: 18, width: 9.4, most: 22, slope: 40 };
const ZOOM = { least: 0.4, most: 12, step: 1.3 };

/** @param {number[]} edge */
export const keyOf = (edge) => edge.join(",");

export class Diagram {
  /**
   * @param {HTMLElement} place
   * @param {{open: (edge: number[]) => void, hover: (edge: EdgeNumbers | null, box: DOMRect | null) => void}} calls
   */
  constructor(place, calls) {
    this.calls = calls;
    this.scene = svg("g");
    this.root = svg("svg", { class: "sp-diagram", role: "group", "aria-label": "Network diagram", tabindex: "-1" }, this.scene);
    place.append(this.root);
    this.view = { x: 0, y: 0, zoom: 1 };
    this.size = { width: 100, height: 100 };
    this.margin = { x: MARGIN.x, bottom: MARGIN.y, top: MARGIN.y };
    /** @type {Map<string, {group: any, curve: any, lines: any, side: number, numbers: EdgeNumbers}>} */
    this.edges = new Map();
    this.fade = 0.15;
    this.structure = "";
    this.chosen = "";
    this.focused = "";
    /** @type {Set<string>} */
    this.doomed = new Set();
    this.#listen();
  }

  /** @param {NetworkNumbers} network */
  draw(network) {
    this.network = network;
    const structure = JSON.stringify([network.layout, network.edges.map((one) => [one.edge, one.function, one.box])]);
    if (structure !== this.structure) {
      this.#build(network);
      this.structure = structure;
    } else {
      for (const one of network.edges) this.#refresh(one);
    }
    this.#paint();
  }

  /** @param {number} fade edges weaker than this fade out */
  setFade(fade) {
    this.fade = fade;
    this.#paint();
  }

  /** @param {number[][]} edges that a step would remove */
  setDoomed(edges) {
    this.doomed = new Set(edges.map(keyOf));
    this.#paint();
  }

  /** @param {number[] | null} edge that is open beside the diagram */
  choose(edge) {
    this.chosen = edge === null ? "" : keyOf(edge);
    this.#paint();
  }

  /** @param {string} key */
  focus(key) {
    this.edges.get(key)?.group.focus();
  }

  // -- drawing

  /** @param {NetworkNumbers} network */
  #build(network) {
    const { width, height } = network.layout;
    const before = this.size;
    const bottom = namesOf(network, "input");
    const top = namesOf(network, "output");
    const aside = Math.max(MARGIN.x, bottom.aside, top.aside);
    this.margin = { x: aside, bottom: MARGIN.y + bottom.away, top: MARGIN.y + top.away };
    this.size = { width: width * SCALE + 2 * aside, height: height * SCALE + this.margin.bottom + this.margin.top };
    this.root.setAttribute("viewBox", `0 0 ${this.size.width} ${this.size.height}`);
    if (before.width !== this.size.width || before.height !== this.size.height) this.reset();
    const had = this.scene.contains(document.activeElement);
    this.scene.replaceChildren();
    this.edges.clear();
    const lines = svg("g", { class: "sp-lines", "aria-hidden": "true" });
    const boxes = svg("g");
    this.scene.append(lines, boxes, this.#nodes(network));
    for (const one of network.edges) this.#edge(one, network, lines, boxes);
    if (!this.edges.has(this.focused)) this.focused = this.edges.keys().next().value ?? "";
    if (had) this.focus(this.focused);
  }

  /** @param {number} x @param {number} y in inches, y upwards */
  #at(x, y) {
    return [this.margin.x + x * SCALE, this.size.height - this.margin.bottom - y * SCALE];
  }

  /** @param {EdgeNumbers} one @param {NetworkNumbers} network @param {any} lines @param {any} boxes */
  #edge(one, network, lines, boxes) {
    const key = keyOf(one.edge);
    const side = network.layout.box * SCALE;
    const tag = one.function === null ? 0 : network.layout.tag * SCALE;
    const [x, y] = this.#at(one.box[0], one.box[1]);
    const drawn = one.lines.map((part) => {
      const points = part.map(([a, b]) => this.#at(a, b).map((value) => value.toFixed(1)).join(",")).join(" ");
      return svg("polyline", { points, class: "sp-line" });
    });
    const line = svg("g", { class: "sp-edge-lines" }, ...drawn);
    lines.append(line);
    const curve = svg("path", { class: "sp-curve" });
    const group = svg(
      "g",
      { class: "sp-edge", role: "button", tabindex: "-1", transform: `translate(${x.toFixed(1)} ${y.toFixed(1)})`, "data-edge": key },
      svg("rect", { class: "sp-box", x: -side / 2, y: -side / 2, width: side, height: side, rx: 4 }),
      curve,
    );
    if (one.function !== null) {
      const size = Math.min(tag * 0.72, (1.5 * side) / Math.max(3, one.function.length));
      group.append(
        svg("rect", { class: "sp-tag", x: -side / 2, y: side / 2, width: side, height: tag, rx: 2 }),
        svg("text", { class: "sp-tag-text", y: side / 2 + tag / 2, "font-size": size.toFixed(1) }, shortened(readable(one.function), 14)),
      );
    }
    boxes.append(group);
    this.edges.set(key, { group, curve, numbers: one, lines: line, side });
    this.#refresh(one);
  }

  /** @param {EdgeNumbers} one */
  #refresh(one) {
    const kept = this.edges.get(keyOf(one.edge));
    if (kept === undefined) return;
    kept.numbers = one;
    const reach = 0.4 * kept.side;
    const last = one.shown.length - 1;
    const x = one.shown.map((_, k) => reach * ((2 * k) / last - 1));
    const y = one.shown.map((value) => (value === null ? null : -reach * value));
    kept.curve.setAttribute("d", linePath(x, y));
    kept.group.setAttribute("aria-label", spoken(one));
  }

  /** @param {NetworkNumbers} network */
  #nodes(network) {
    const group = svg("g", { class: "sp-nodes" });
    const names = { input: namesOf(network, "input"), output: namesOf(network, "output"), hidden: null };
    // Edges end at sums; of several sums that are factors of one product, the edges know the node.
    const owners = new Map(network.edges.map(({ edge, to }) => [`${to[0]},${edge[2]}`, to[1]]));
    for (const { level, sum, x, y } of network.factors) {
      const [a, b] = this.#at(x, y);
      const product = network.nodes.find(({ node }) => node[0] === level && node[1] === owners.get(`${level},${sum}`));
      if (product !== undefined) {
        const [c, d] = this.#at(product.x, product.y);
        group.append(svg("line", { class: "sp-factor", x1: a, y1: b, x2: c, y2: d }));
      }
      group.append(svg("circle", { class: "sp-node", cx: a, cy: b, r: 4 }));
    }
    for (const { node, kind, product, name, x, y } of network.nodes) {
      const [a, b] = this.#at(x, y);
      group.append(svg("circle", { class: product ? "sp-node sp-product" : "sp-node", cx: a, cy: b, r: product ? 9 : 5.5 }));
      if (product) group.append(svg("path", { class: "sp-cross", d: `M${a - 4} ${b - 4}l8 8m0-8l-8 8` }));
      if (!name) continue;
      const { slanted, most } = names[/** @type {"input" | "output"} */ (kind)];
      const below = kind === "input";
      const at = b + (below ? (slanted ? 18 : 27) : -14);
      const anchor = slanted ? (below ? "end" : "start") : "middle";
      const turn = slanted ? `rotate(-${LETTER.slope} ${a} ${at})` : null;
      const text = svg("text", { class: "sp-name", x: a, y: at, "font-size": LETTER.size, "text-anchor": anchor, transform: turn });
      text.append(shortened(name, most), svg("title", {}, name));
      group.append(text);
    }
    return group;
  }

  /** Colours and focus: what changes without another geometry. */
  #paint() {
    for (const [key, { group, lines, numbers }] of this.edges) {
      const faint = this.fade > 0 && numbers.strength < this.fade ? Math.max(0.06, (numbers.strength / this.fade) ** 2) : 1;
      const shade = Math.max(0.12, numbers.strength) * faint;
      lines.style.opacity = String(0.1 + 0.9 * shade);
      lines.style.strokeWidth = String(0.8 + 1.1 * numbers.strength);
      group.style.opacity = String(Math.max(0.1, faint * (0.45 + 0.55 * numbers.strength)));
      group.classList.toggle("sp-symbolic", numbers.function !== null);
      lines.classList.toggle("sp-symbolic", numbers.function !== null);
      for (const part of [group, lines]) {
        part.classList.toggle("sp-chosen", key === this.chosen);
        part.classList.toggle("sp-doomed", this.doomed.has(key));
      }
      group.setAttribute("tabindex", key === this.focused ? "0" : "-1");
      group.setAttribute("aria-pressed", String(key === this.chosen));
    }
  }

  // -- zoom and pan

  /** The whole network. */
  reset() {
    this.view = { x: 0, y: 0, zoom: 1 };
    this.#place();
  }

  /** @param {number} factor @param {number} [x] @param {number} [y] a place of the drawing that stays where it is */
  zoom(factor, x = this.size.width / 2, y = this.size.height / 2) {
    const before = this.view.zoom;
    const zoom = Math.min(ZOOM.most, Math.max(ZOOM.least, before * factor));
    this.view = { x: x - ((x - this.view.x) * zoom) / before, y: y - ((y - this.view.y) * zoom) / before, zoom };
    this.#place();
  }

  /** @param {number} dx @param {number} dy in units of the drawing */
  pan(dx, dy) {
    this.view.x += dx;
    this.view.y += dy;
    this.#place();
  }

  #place() {
    const { x, y, zoom } = this.view;
    this.scene.setAttribute("transform", `translate(${x.toFixed(2)} ${y.toFixed(2)}) scale(${zoom.toFixed(4)})`);
  }

  /** @param {{clientX: number, clientY: number}} event */
  #inDrawing(event) {
    const matrix = this.root.getScreenCTM();
    if (matrix === null) return { x: 0, y: 0, scale: 1 };
    const point = new DOMPoint(event.clientX, event.clientY).matrixTransform(matrix.inverse());
    return { x: point.x, y: point.y, scale: 1 / matrix.a };
  }

  // -- listening

  #listen() {
    /** @type {Map<number, {x: number, y: number}>} */
    const held = new Map();
    let moved = 0;
    this.root.addEventListener("pointerdown", (/** @type {PointerEvent} */ event) => {
      if (event.button !== 0) return;
      held.set(event.pointerId, { x: event.clientX, y: event.clientY });
      if (held.size === 1) moved = 0;
    });
    this.root.addEventListener("pointermove", (/** @type {PointerEvent} */ event) => {
      const last = held.get(event.pointerId);
      if (last === undefined) return;
      const now = { x: event.clientX, y: event.clientY };
      const others = [...held].filter(([id]) => id !== event.pointerId).map(([, place]) => place);
      moved += Math.hypot(now.x - last.x, now.y - last.y);
      const at = this.#inDrawing(event);
      if (others.length > 0) {
        const apart = Math.hypot(now.x - others[0].x, now.y - others[0].y) / Math.hypot(last.x - others[0].x, last.y - others[0].y);
        if (Number.isFinite(apart) && apart > 0) this.zoom(apart, at.x, at.y);
      } else if (moved > 4) {
        // Captured only now: a click on an edge must reach the edge.
        this.root.setPointerCapture(event.pointerId);
        this.root.classList.add("sp-panning");
        this.pan((now.x - last.x) * at.scale, (now.y - last.y) * at.scale);
      }
      held.set(event.pointerId, now);
    });
    for (const name of ["pointerup", "pointercancel", "lostpointercapture"]) {
      this.root.addEventListener(name, (/** @type {PointerEvent} */ event) => {
        held.delete(event.pointerId);
        this.root.classList.remove("sp-panning");
      });
    }
    this.root.addEventListener(
      "wheel",
      (/** @type {WheelEvent} */ event) => {
        // With Ctrl, as for maps within pages: without it the page scrolls. A trackpad's pinch comes with Ctrl too.
        if (!event.ctrlKey && !event.metaKey) return;
        event.preventDefault();
        const { x, y } = this.#inDrawing(event);
        this.zoom(Math.exp(-event.deltaY / 250), x, y);
      },
      { passive: false },
    );
    this.root.addEventListener("click", (/** @type {MouseEvent} */ event) => {
      const numbers = this.#edgeAt(event.target);
      if (numbers !== null && moved <= 4) this.calls.open(numbers.edge);
    });
    for (const [name, on] of [["pointerover", true], ["focusin", true], ["pointerout", false], ["focusout", false]]) {
      this.root.addEventListener(String(name), (/** @type {Event} */ event) => {
        const numbers = this.#edgeAt(event.target);
        if (!on) this.calls.hover(null, null);
        else if (numbers !== null) {
          const kept = this.edges.get(keyOf(numbers.edge));
          this.calls.hover(numbers, kept?.group.getBoundingClientRect() ?? null);
          if (name === "focusin") {
            this.focused = keyOf(numbers.edge);
            this.#paint();
          }
        }
      });
    }
    this.root.addEventListener("keydown", (/** @type {KeyboardEvent} */ event) => this.#key(event));
  }

  /** @param {EventTarget | null} target @returns {EdgeNumbers | null} */
  #edgeAt(target) {
    const group = target instanceof Element ? target.closest("[data-edge]") : null;
    return group === null ? null : (this.edges.get(group.getAttribute("data-edge") ?? "")?.numbers ?? null);
  }

  /** @param {KeyboardEvent} event */
  #key(event) {
    const numbers = this.#edgeAt(event.target);
    const keys = {
      "+": () => this.zoom(ZOOM.step),
      "=": () => this.zoom(ZOOM.step),
      "-": () => this.zoom(1 / ZOOM.step),
      0: () => this.reset(),
      ArrowLeft: () => this.#step(numbers, -1, 0),
      ArrowRight: () => this.#step(numbers, 1, 0),
      ArrowUp: () => this.#step(numbers, 0, 1),
      ArrowDown: () => this.#step(numbers, 0, -1),
      Enter: () => numbers !== null && this.calls.open(numbers.edge),
      " ": () => numbers !== null && this.calls.open(numbers.edge),
    };
    const act = keys[/** @type {keyof typeof keys} */ (event.key)];
    if (act === undefined || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    act();
  }

  /**
   * To the nearest edge in a direction; with shift it would be the drawing that moves, which the buttons do.
   * @param {EdgeNumbers | null} from @param {number} dx @param {number} dy
   */
  #step(from, dx, dy) {
    if (from === null) return this.focus(this.focused);
    let best = "";
    let least = Infinity;
    for (const [key, { numbers }] of this.edges) {
      const along = dx * (numbers.box[0] - from.box[0]) + dy * (numbers.box[1] - from.box[1]);
      const aside = Math.abs(dy * (numbers.box[0] - from.box[0])) + Math.abs(dx * (numbers.box[1] - from.box[1]));
      const cost = along + 3 * aside;
      if (along > 1e-6 && cost < least) [best, least] = [key, cost];
    }
    if (best !== "") this.focus(best);
  }
}

/**
 * How the names of inputs or outputs stand: horizontally where all fit, else slanted, with room for them.
 * @param {NetworkNumbers} network
 * @param {string} kind
 */
function namesOf(network, kind) {
  const names = network.nodes.filter((one) => one.kind === kind).map((one) => one.name);
  const longest = Math.max(0, ...names.map((name) => name.length));
  const fits = Math.floor((0.95 * network.layout.width * SCALE) / Math.max(1, names.length) / LETTER.width);
  if (longest <= fits || names.length === 1) return { slanted: false, most: Math.max(fits, 12), away: 0, aside: 0 };
  const length = Math.min(longest, LETTER.most) * LETTER.width;
  const angle = (LETTER.slope * Math.PI) / 180;
  const away = Math.sin(angle) * length;
  const first = (0.5 * network.layout.width * SCALE) / names.length;
  return { slanted: true, most: LETTER.most, away, aside: Math.cos(angle) * length - first };
}

/**
 * What a screen reader says of an edge.
 * @param {EdgeNumbers} one
 */
export function spoken(one) {
  const kind = one.function === null ? "spline" : `function ${readable(one.function)}`;
  return `${one.start} to ${one.end}, ${kind}, score ${number(one.score)}`;
}
