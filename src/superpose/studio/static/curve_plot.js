// The plot of one edge: its curve and band, a candidate over it, knots, slope, the data's density, a stretch that is dragged.

import { linePath, svg, tickText, ticks, uniqueId } from "./elements.js";

const SIZE = { width: 420, height: 280, left: 50, right: 12, top: 10, strip: 34, bottom: 26 };

/** @param {(number | null)[]} values @returns {[number, number]} */
function range(values) {
  const finite = /** @type {number[]} */ (values.filter((one) => one !== null && Number.isFinite(one)));
  if (finite.length === 0) return [0, 1];
  const low = Math.min(...finite);
  const high = Math.max(...finite);
  const around = high > low ? 0.06 * (high - low) : Math.max(0.5, 0.1 * Math.abs(high));
  return [low - around, high + around];
}

export class CurvePlot {
  /** @param {HTMLElement} place */
  constructor(place) {
    this.clip = uniqueId("clip");
    this.root = svg("svg", { class: "sp-plot", viewBox: `0 0 ${SIZE.width} ${SIZE.height}`, role: "img" });
    place.append(this.root);
    /** @type {any} */
    this.panel = undefined;
    // Ranges of the axes.
    this.x = { low: 0, high: 1 };
    this.y = { low: 0, high: 1 };
    /** @type {((x: number, dy: number, ended: boolean) => void) | null} */
    this.ondrag = null;
    this.#listen();
  }

  /**
   * @param {any} panel the numbers of the edge
   * @param {{slope: boolean, label: string}} options
   */
  draw(panel, options) {
    this.panel = panel;
    const { x } = panel.curve;
    const y = options.slope ? panel.slope : panel.curve.y;
    const band = options.slope ? null : panel.band;
    const floor = SIZE.height - SIZE.bottom - SIZE.strip;
    this.x = { low: x[0], high: x[x.length - 1] };
    const [low, high] = range(y);
    this.y = { low, high };
    this.root.setAttribute("aria-label", options.label);
    this.overlay = svg("path", { class: "sp-candidate", "clip-path": `url(#${this.clip})` });
    this.dragged = svg("path", { class: "sp-dragged", "clip-path": `url(#${this.clip})` });
    this.stretch = svg("rect", { class: "sp-stretch", y: SIZE.top, height: floor - SIZE.top, width: 0 });
    const screen = x.map((/** @type {number} */ one) => this.across(one));
    const parts = [
      svg("defs", {}, svg("clipPath", { id: this.clip }, svg("rect", { x: SIZE.left, y: SIZE.top, width: SIZE.width - SIZE.left - SIZE.right, height: floor - SIZE.top }))),
      this.#axes(floor),
      this.stretch,
    ];
    if (band !== null) {
      const there = [...screen, ...screen.slice().reverse()];
      const edge = [...band.high, ...band.low.slice().reverse()].map((one) => this.up(one));
      parts.push(svg("path", { class: "sp-band", d: `${linePath(there, edge)}Z`, "clip-path": `url(#${this.clip})` }));
    }
    const curve = linePath(screen, y.map((/** @type {number | null} */ one) => (one === null ? null : this.up(one))));
    parts.push(svg("path", { class: panel.function === null ? "sp-shape" : "sp-shape sp-symbolic", d: curve, "clip-path": `url(#${this.clip})` }));
    parts.push(this.overlay, this.dragged, this.#knots(panel.knots, floor), this.#density(panel.density, floor));
    this.root.replaceChildren(...parts);
  }

  /** @param {number} x */
  across(x) {
    return SIZE.left + ((x - this.x.low) / (this.x.high - this.x.low)) * (SIZE.width - SIZE.left - SIZE.right);
  }

  /** @param {number} y */
  up(y) {
    const floor = SIZE.height - SIZE.bottom - SIZE.strip;
    return floor - ((y - this.y.low) / (this.y.high - this.y.low)) * (floor - SIZE.top);
  }

  /** @param {(number | null)[] | null} y a candidate over the curve, on the curve's places; null takes it away */
  over(y) {
    // A row that loses the focus while the panel is built anew speaks to a plot that is not drawn yet.
    if (!this.panel) return;
    const x = this.panel.curve.x.map((/** @type {number} */ one) => this.across(one));
    this.overlay.setAttribute("d", y === null ? "" : linePath(x, y.map((one) => (one === null ? null : this.up(one)))));
  }

  /** @param {{x: number[], y: number[]} | null} course of a dragged stretch; null takes it away */
  showDrag(course) {
    if (course === null) {
      this.dragged.setAttribute("d", "");
      this.stretch.setAttribute("width", "0");
      return;
    }
    this.dragged.setAttribute("d", linePath(course.x.map((one) => this.across(one)), course.y.map((one) => this.up(one))));
    const left = this.across(course.x[0]);
    this.stretch.setAttribute("x", String(left));
    this.stretch.setAttribute("width", String(Math.max(0, this.across(course.x[course.x.length - 1]) - left)));
  }

  /** @param {number} floor */
  #axes(floor) {
    const group = svg("g", { class: "sp-axes" });
    const across = ticks(this.x.low, this.x.high, 6);
    const upwards = ticks(this.y.low, this.y.high, 5);
    for (const one of upwards) {
      const y = this.up(one);
      group.append(
        svg("line", { x1: SIZE.left, x2: SIZE.width - SIZE.right, y1: y, y2: y }),
        svg("text", { x: SIZE.left - 6, y: y + 3.5, "text-anchor": "end" }, tickText(one, upwards)),
      );
    }
    for (const one of across) {
      const x = this.across(one);
      group.append(
        svg("line", { x1: x, x2: x, y1: SIZE.height - SIZE.bottom, y2: SIZE.height - SIZE.bottom + 4 }),
        svg("text", { x, y: SIZE.height - SIZE.bottom + 16, "text-anchor": "middle" }, tickText(one, across)),
      );
    }
    group.append(svg("line", { class: "sp-floor", x1: SIZE.left, x2: SIZE.width - SIZE.right, y1: floor, y2: floor }));
    return group;
  }

  /** @param {number[]} knots @param {number} floor */
  #knots(knots, floor) {
    const group = svg("g", { class: "sp-knots" });
    for (const one of knots) {
      if (one < this.x.low || one > this.x.high) continue;
      const x = this.across(one);
      group.append(svg("line", { x1: x, x2: x, y1: floor - 5, y2: floor + 5 }));
    }
    return group;
  }

  /** @param {{bins: number[], counts: number[]}} density @param {number} floor */
  #density(density, floor) {
    const most = Math.max(1, ...density.counts);
    const group = svg("g", { class: "sp-density" });
    const base = SIZE.height - SIZE.bottom;
    const room = base - floor - 6;
    density.counts.forEach((count, k) => {
      const left = this.across(density.bins[k]);
      const width = Math.max(0.5, this.across(density.bins[k + 1]) - left);
      const height = (count / most) * room;
      group.append(svg("rect", { x: left, y: base - height, width, height }));
    });
    return group;
  }

  #listen() {
    /** @type {{x: number, y: number} | null} */
    let from = null;
    const place = (/** @type {PointerEvent} */ event) => {
      const matrix = this.root.getScreenCTM();
      const point = new DOMPoint(event.clientX, event.clientY).matrixTransform(matrix?.inverse());
      const floor = SIZE.height - SIZE.bottom - SIZE.strip;
      const x = this.x.low + ((point.x - SIZE.left) / (SIZE.width - SIZE.left - SIZE.right)) * (this.x.high - this.x.low);
      const y = this.y.low + ((floor - point.y) / (floor - SIZE.top)) * (this.y.high - this.y.low);
      return { x, y };
    };
    this.root.addEventListener("pointerdown", (/** @type {PointerEvent} */ event) => {
      if (this.ondrag === null || this.panel === undefined || event.button !== 0) return;
      event.preventDefault();
      from = place(event);
      this.root.setPointerCapture(event.pointerId);
      this.ondrag(from.x, 0, false);
    });
    this.root.addEventListener("pointermove", (/** @type {PointerEvent} */ event) => {
      if (from !== null && this.ondrag !== null) this.ondrag(from.x, place(event).y - from.y, false);
    });
    this.root.addEventListener("pointerup", (/** @type {PointerEvent} */ event) => {
      if (from !== null && this.ondrag !== null) this.ondrag(from.x, place(event).y - from.y, true);
      from = null;
    });
    this.root.addEventListener("pointercancel", () => {
      from = null;
    });
  }
}
