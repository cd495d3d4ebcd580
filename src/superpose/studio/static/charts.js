// Small charts as SVG; colours come from the style sheet by class.

import { figure, h, svg } from "./dom.js";

// A histogram that fits into a cell.
export function bars({ low, high, counts }, label) {
  const [width, height] = [120, 28];
  const most = Math.max(...counts, 1);
  const step = width / counts.length;
  const says = `${label}: from ${figure(low)} to ${figure(high)}`;
  return svg("svg", { class: "bars", viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": says },
    svg("title", {}, says),
    counts.map((count, place) => svg("rect", {
      x: place * step, y: height - (height - 1) * (count / most), width: Math.max(step - 0.6, 0.6), height: (height - 1) * (count / most),
    })), svg("line", { x1: 0, x2: width, y1: height - 0.5, y2: height - 0.5 }));
}

function ticks(low, high) {
  const every = Math.max(1, Math.ceil((high - low) / 5));
  const found = [];
  for (let power = Math.ceil(low); power <= high; power += every) found.push(power);
  return found;
}

const power = (value) => (value === 0 ? "1" : `10${[...String(value)].map((sign) => "⁰¹²³⁴⁵⁶⁷⁸⁹"["0123456789".indexOf(sign)] ?? "⁻").join("")}`);

// The errors of all training steps, training and validation, on a logarithmic scale.
export class Staircase {
  constructor() {
    this.training = svg("path", { class: "training" });
    this.validation = svg("path", { class: "validation" });
    this.axes = svg("g", { class: "axes" });
    this.measure = h("span", { class: "quiet" }, "RMSE by step");
    this.frame = svg("svg", { class: "staircase", viewBox: "0 0 560 230", role: "img", "aria-label": "Errors of the training steps" },
      this.axes, this.training, this.validation);
    this.element = h("figure", { class: "chart" }, this.frame, h("figcaption", {},
      h("span", { class: "key training" }, "training"), h("span", { class: "key validation" }, "validation"),
      this.measure));
  }

  draw(points) {
    const finite = points.flatMap(([, one, other]) => [one, other]).filter((value) => value > 0 && Number.isFinite(value));
    if (!finite.length) {
      this.axes.replaceChildren(svg("text", { x: 280, y: 115, "text-anchor": "middle" }, "No training steps yet"));
      this.training.setAttribute("d", "");
      this.validation.setAttribute("d", "");
      return;
    }
    const logs = finite.map(Math.log10);
    const [low, high] = [Math.min(...logs), Math.max(Math.max(...logs), Math.min(...logs) + 0.5)];
    const first = points[0][0];
    const last = Math.max(points.at(-1)[0], first + 1);
    const x = (step) => 52 + (496 * (step - first)) / (last - first);
    const y = (value) => 12 + 190 * (1 - (Math.log10(Math.max(value, 10 ** low)) - low) / (high - low));
    const line = (place) => {
      let path = "";
      for (const point of points) {
        const value = point[place];
        if (value === null || !(value >= 0)) continue;
        path += path ? `H${x(point[0]).toFixed(1)}V${y(value).toFixed(1)}` : `M${x(point[0]).toFixed(1)} ${y(value).toFixed(1)}`;
      }
      return path;
    };
    this.training.setAttribute("d", line(1));
    this.validation.setAttribute("d", line(2));
    this.axes.replaceChildren(
      ...ticks(low, high).flatMap((value) => [
        svg("line", { x1: 52, x2: 548, y1: y(10 ** value), y2: y(10 ** value) }),
        svg("text", { x: 46, y: y(10 ** value) + 4, "text-anchor": "end" }, power(value)),
      ]),
      svg("text", { x: 52, y: 222 }, String(first)), svg("text", { x: 548, y: 222, "text-anchor": "end" }, `step ${last}`));
    const now = points.at(-1);
    this.frame.setAttribute("aria-label",
      `Errors of ${last} training steps; the last: training ${figure(now[1])}, validation ${figure(now[2])}`);
  }
}

// Seconds in which the drawing moves from one picture of the network to the next.
const MORPH = 0.25;
const [SIZE, GAP] = [30, 10];
// More edges than this are drawn as lines without a box.
const MOST_BOXES = 160;
const MOST_NAMES = 12;
const LONGEST_NAME = 14;

// The network as it learns: inputs below, outputs above, a small box with its curve on each edge.
export class LiveNetwork {
  constructor() {
    this.frame = svg("svg", { class: "network", role: "img", "aria-label": "The network" });
    this.element = h("figure", { class: "chart" }, this.frame, h("figcaption", { class: "quiet" },
      "The network as it learns: inputs below, curves on the edges; strong edges are dark, functions that were recognised are orange"));
    this.edges = new Map();
    this.structure = "";
    this.frames = 0;
    this.drawing = false;
  }

  show(picture) {
    const structure = JSON.stringify([picture.widths, picture.edges.map((edge) => edge.slice(0, 3))]);
    if (structure !== this.structure) this.build(picture);
    this.structure = structure;
    for (const [place, edge] of picture.edges.entries()) {
      const drawn = this.edges.get(place);
      drawn.from = drawn.now;
      drawn.to = { strength: edge[3], heights: edge[5] };
      drawn.box?.classList.toggle("symbolic", edge[4] !== null);
      drawn.line.classList.toggle("symbolic", edge[4] !== null);
    }
    this.began = performance.now();
    if (!this.drawing) {
      this.drawing = true;
      requestAnimationFrame((now) => this.draw(now));
    }
  }

  build({ widths, features, targets, edges }) {
    const layers = widths.length - 1;
    const perLayer = widths.slice(1).map((count, layer) => edges.filter((edge) => edge[0] === layer).length);
    const boxes = edges.length <= MOST_BOXES;
    const ends = new Map([[0, features], [layers, targets]]);
    const room = (layer) => Math.max(64, ...(widths[layer] <= MOST_NAMES ? ends.get(layer) ?? [] : []).map((name) => 10 * Math.min(name.length, LONGEST_NAME)));
    const widest = Math.max(...widths.map((count, layer) => count * room(layer)), ...(boxes ? perLayer.map((count) => count * (SIZE + GAP)) : [0]), 240);
    const size = boxes ? Math.max(10, Math.min(SIZE, 1600 / Math.max(...perLayer) - 4)) : 0;
    const width = Math.min(widest, 1600);
    const floor = 150;
    const height = layers * floor + 60;
    const node = (layer, index) => [(width * (index + 0.5)) / widths[layer], height - 34 - layer * floor];
    this.frame.setAttribute("viewBox", `0 0 ${width} ${height}`);
    const [lines, shapes, nodes] = [svg("g", {}), svg("g", {}), svg("g", { class: "nodes" })];
    const seen = new Map();
    this.edges.clear();
    for (const [place, [layer, from, to]] of edges.entries()) {
      const number = seen.get(layer) ?? 0;
      seen.set(layer, number + 1);
      const [x1, y1] = node(layer, from);
      const [x2, y2] = node(layer + 1, to);
      const x = boxes ? (width * (number + 0.5)) / perLayer[layer] : (x1 + x2) / 2;
      const y = (y1 + y2) / 2;
      const line = svg("path", { class: "line", d: boxes ? `M${x1} ${y1}L${x} ${y + size / 2}M${x} ${y - size / 2}L${x2} ${y2}` : `M${x1} ${y1}L${x2} ${y2}` });
      lines.append(line);
      const drawn = { line, x: x - size / 2, y: y - size / 2, size, now: null };
      if (boxes) {
        drawn.curve = svg("path", { class: "curve" });
        drawn.box = svg("g", { class: "edge" }, svg("rect", { x: drawn.x, y: drawn.y, width: size, height: size, rx: 3 }), drawn.curve);
        shapes.append(drawn.box);
      }
      this.edges.set(place, drawn);
    }
    for (const [layer, count] of widths.entries()) {
      for (let index = 0; index < count; index += 1) {
        const [x, y] = node(layer, index);
        // Names that would lie over one another are left to the page of the network.
        const name = count <= MOST_NAMES ? ends.get(layer)?.[index] : "";
        nodes.append(svg("circle", { cx: x, cy: y, r: 4 }));
        if (name) {
          nodes.append(svg("text", { x, y: layer === 0 ? y + 20 : y - 10, "text-anchor": "middle" },
            name.length > LONGEST_NAME ? `${name.slice(0, LONGEST_NAME - 1)}…` : name));
        }
      }
    }
    this.frame.replaceChildren(lines, shapes, nodes);
    this.frame.setAttribute("aria-label", `The network: ${widths.join(", ")} nodes, ${edges.length} edges`);
  }

  draw(now) {
    const share = Math.min(1, (now - this.began) / 1000 / MORPH);
    this.frames += 1;
    for (const drawn of this.edges.values()) {
      if (!drawn.to) continue;
      const from = drawn.from ?? drawn.to;
      const heights = drawn.to.heights.map((value, place) => from.heights[place] + share * (value - from.heights[place]));
      const strength = from.strength + share * (drawn.to.strength - from.strength);
      drawn.now = { heights, strength };
      const opacity = (0.12 + 0.88 * Math.sqrt(strength)).toFixed(2);
      drawn.line.setAttribute("opacity", opacity);
      if (!drawn.curve) continue;
      const step = (drawn.size - 6) / (heights.length - 1);
      const points = heights.map((value, place) =>
        `${(drawn.x + 3 + place * step).toFixed(1)} ${(drawn.y + drawn.size - 3 - (value / 100) * (drawn.size - 6)).toFixed(1)}`);
      drawn.curve.setAttribute("d", `M${points.join("L")}`);
      drawn.box.setAttribute("opacity", opacity);
    }
    if (share < 1) requestAnimationFrame((later) => this.draw(later));
    else this.drawing = false;
  }
}

function scale(values, low, high) {
  const finite = values.filter(Number.isFinite);
  let [least, most] = [Math.min(...finite), Math.max(...finite)];
  if (!(most > least)) [least, most] = [least - 0.5, most + 0.5];
  return { least, most, at: (value) => low + ((high - low) * (value - least)) / (most - least) };
}

function frame(x, y, names, label, ...drawn) {
  return svg("svg", { class: "plot", viewBox: "0 0 300 210", role: "img", "aria-label": label },
    svg("g", { class: "axes" },
      svg("line", { x1: 58, x2: 292, y1: 170, y2: 170 }), svg("line", { x1: 58, x2: 58, y1: 8, y2: 170 }),
      svg("text", { x: 58, y: 186 }, figure(x.least)), svg("text", { x: 292, y: 186, "text-anchor": "end" }, figure(x.most)),
      svg("text", { x: 175, y: 203, "text-anchor": "middle", class: "name" }, names[0]),
      svg("text", { x: 54, y: 18, "text-anchor": "end" }, figure(y.most, 2)),
      svg("text", { x: 54, y: 172, "text-anchor": "end" }, figure(y.least, 2))), drawn);
}

// Points, and where they should lie: on the diagonal, or at zero.
export function scatter(xs, ys, across, up, diagonal = false) {
  const both = diagonal ? [...xs, ...ys] : null;
  const x = scale(both ?? xs, 66, 286);
  const y = scale(both ?? [...ys, 0], 164, 14);
  const ends = diagonal ? [y.least, y.most] : [0, 0];
  const line = svg("line", { class: "ideal", x1: x.at(x.least), x2: x.at(x.most), y1: y.at(ends[0]), y2: y.at(ends[1]) });
  const points = xs.map((value, place) => svg("circle", { cx: x.at(value).toFixed(1), cy: y.at(ys[place]).toFixed(1), r: 1.8 }));
  const caption = `${up} against ${across}`;
  return h("figure", { class: "chart" }, frame(x, y, [across], `${caption}, ${xs.length} rows`, line, points),
    h("figcaption", { class: "quiet" }, caption));
}

// The output along one input: with the others as they are, and in the mean over the table.
export function curve(xs, ys, means, now, name) {
  const x = scale([...xs, now], 66, 286);
  const y = scale([...ys, ...means], 164, 14);
  const path = (values) => `M${values.map((value, place) => (Number.isFinite(value) ? `${x.at(xs[place]).toFixed(1)} ${y.at(value).toFixed(1)}` : "")).filter(Boolean).join("L")}`;
  return frame(x, y, [name], `The output as ${name} moves`,
    svg("path", { class: "mean", d: path(means) }), svg("path", { class: "along", d: path(ys) }),
    svg("line", { class: "now", x1: x.at(now), x2: x.at(now), y1: 10, y2: 170 }));
}
