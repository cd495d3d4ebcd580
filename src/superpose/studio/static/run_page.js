// The run: what it finds and when, its errors step by step, its network as it bends, and the means to hold it.

import { LiveNetwork, Staircase } from "./charts.js";
import { figure, h, math, replace, seconds, sentence } from "./dom.js";
import { term } from "./words.js";

const SAYS = {
  running: "Searching", paused: "Paused", done: "Done", failed: "Failed", dead: "The engine's process ended",
};

export class RunPage {
  constructor(studio) {
    this.studio = studio;
    this.status = h("p", { class: "status", role: "status" });
    this.time = h("span", { class: "quiet time" });
    this.buttons = h("div", { class: "buttons", role: "group", "aria-label": "Run" });
    this.note = h("div", {});
    this.formula = h("section", { class: "found", "aria-label": "Formula" });
    this.staircase = new Staircase();
    this.network = new LiveNetwork();
    this.front = h("section", { "aria-label": "Formulas found so far" });
    this.log = h("ol", { class: "log" });
    this.element = h("section", { class: "page", "aria-label": "Run" },
      h("header", { class: "run-head" }, h("div", {}, this.status, this.time), this.buttons), this.note, this.formula,
      h("div", { class: "two" }, this.staircase.element, this.network.element), this.front,
      h("section", {}, h("h2", {}, "What was found when"),
        h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Log" }, this.log)));
  }

  opened(run) {
    this.status.textContent = "";
    this.status.className = "status";
    this.time.textContent = "";
    replace(this.buttons);
    replace(this.log);
    replace(this.front);
    replace(this.formula);
    replace(this.note);
    this.staircase.draw([]);
    this.network.frame.replaceChildren();
    this.network.structure = "";
    this.run = run;
  }

  happened(news, run) {
    if (news.status || "sentence" in news) this.drawStatus(run);
    if (news.seconds !== undefined || news.status) this.time.textContent = seconds(run.parts.seconds);
    if (news.reading) this.staircase.measure.textContent = `${news.reading.measure} by step`;
    if (news.formula || news.result) this.drawFormula(run);
    if (news.front || news.result) this.drawFront(run);
    if (news.picture) this.network.show(news.picture);
    if (news.points || news.anew) this.staircase.draw(run.points);
    if (news.log || news.anew) this.drawLog(news.anew ? run.log : news.log, Boolean(news.anew));
  }

  drawStatus(run) {
    const { status, sentence: says } = run.parts;
    const kind = this.studio.runs.find((one) => one.id === run.id)?.kind;
    const training = kind === "train" || run.parts.session;
    this.status.textContent = status === "running" && training ? "Training" : SAYS[status] ?? "";
    this.status.className = `status ${status}`;
    replace(this.note, says ? h("p", { class: "mistake", role: "alert" }, sentence(says)) : null,
      status === "paused" ? this.settings(run) : null);
    const button = (action, text, kind = "") => h("button", {
      type: "button", class: kind, id: `run-${action}`, onclick: () => this.control(action),
    }, text);
    const focused = document.activeElement?.id;
    replace(this.buttons,
      status === "running" ? button("pause", "Pause") : null,
      status === "paused" ? h("button", { type: "submit", form: "run-settings", class: "primary", id: "run-resume" }, "Resume") : null,
      ["running", "paused"].includes(status) ? button("stop", "Stop") : null,
      status === "failed" && this.studio.pages.table.found
        ? h("button", { type: "button", class: "primary", onclick: () => this.studio.show("table") }, "Back to the table") : null,
      status === "dead" ? button("reopen", "Open again", "primary") : null,
      button("close", "Close"));
    if (focused?.startsWith("run-")) (document.getElementById(focused) ?? this.buttons.querySelector("button")).focus();
  }

  // What of a run that is paused can be changed. What it costs is said as soon as something differs.
  settings(run) {
    const { settings } = run.parts;
    const seconds = h("input", { type: "number", id: "run-seconds", min: "0", value: "0" });
    const field = (label, control) => h("div", { class: "field" }, h("label", { for: control.id }, label), control);
    const fields = [field("More seconds", seconds)];
    const reads = [];
    const add = (label, name, control, read) => {
      fields.push(field(label, control));
      const first = JSON.stringify(read());
      reads.push(() => (JSON.stringify(read()) === first ? null : [name, read()]));
    };
    if (settings?.kind === "train") {
      const sparsity = h("input", { type: "number", id: "run-sparsity", min: "0", step: "any", value: String(settings.sparsity ?? 0) });
      add(term("sparsity", "Sparsity"), "sparsity", sparsity, () => Number(sparsity.value));
      const optimizer = h("select", { id: "run-optimizer" }, ["lm", "lbfgs", "adamw"].map((name) =>
        h("option", { value: name, selected: name === settings.optimizer }, name)));
      add("Optimiser", "optimizer", optimizer, () => optimizer.value);
      const steps = h("input", { type: "number", id: "run-steps", min: "1", step: "1", value: String(settings.steps ?? "") });
      add("Steps", "steps", steps, () => (steps.value ? Number(steps.value) : null));
    } else if (settings?.kind === "search") {
      const formula = h("select", { id: "run-formula" }, [["true", "are looked for"], ["false", "are not: a network alone"]].map(([value, text]) =>
        h("option", { value, selected: value === String(settings.formula) }, text)));
      add("Formulas", "formula", formula, () => formula.value === "true");
      if (settings.names.includes("functions")) {
        const functions = h("input", { type: "text", id: "run-functions", value: (settings.functions ?? []).join(", "), placeholder: "any, or such as sin, exp" });
        add("Functions in them", "functions", functions, () => functions.value.split(/[\s,]+/).filter(Boolean));
      }
    }
    const cost = h("p", { class: "note", role: "status", hidden: true });
    const changed = () => Object.fromEntries(reads.map((read) => read()).filter(Boolean));
    const form = h("form", {
      class: "choices", id: "run-settings", "aria-label": "Settings of the run",
      oninput: () => {
        const names = Object.keys(changed());
        cost.textContent = names.length ? costs(settings, names) : "";
        cost.hidden = !names.length;
      },
      onsubmit: async (event) => {
        event.preventDefault();
        const [options, more] = [changed(), Number(seconds.value)];
        if (Object.keys(options).length) {
          if (options.functions && !options.functions.length) options.functions = null;
          if (more > 0 && settings.time_limit) options.time_limit = settings.time_limit + more;
          await this.control("change", { options });
        } else if (!more || await this.control("extend", { seconds: more })) {
          await this.control("resume");
        }
      },
    }, h("div", { class: "fields" }, fields), cost);
    return form;
  }

  async control(action, more) {
    this.note.querySelector(":scope > .mistake")?.remove();
    try {
      await this.studio.control(action, more);
      return true;
    } catch (error) {
      this.note.prepend(h("p", { class: "mistake", role: "alert" }, sentence(error.message)));
      return false;
    }
  }

  drawFormula(run) {
    const { result, formula } = run.parts;
    const text = result?.formula ?? formula?.text;
    const tree = result?.mathml ?? formula?.mathml;
    const errors = result?.errors ?? {};
    const percent = (value) => `${(100 * value).toFixed(1)}%`;
    const shares = ["formula", "network"].filter((name) => errors[`${name}_accuracy`] !== undefined)
      .map((name) => `${name} ${percent(errors[`${name}_accuracy`])}`);
    const rates = ["formula", "network"].filter((name) => errors[`${name}_rmse`] !== undefined)
      .map((name) => `${name} ${figure(errors[`${name}_rmse`])}`);
    if (errors.network_wrong !== undefined) shares.push(`network ${percent(1 - errors.network_wrong)}`);
    replace(this.formula,
      text ? [math(tree, text), h("p", { class: "formula-text" }, text)] : null,
      result && !text && run.parts.front ? h("p", {}, "No formula is recommended; the network stands by itself.") : null,
      result && !text && result.reason ? h("p", { class: "quiet" }, sentence(result.reason)) : null,
      rates.length ? h("p", {}, term("RMSE"), `: ${rates.join(", ")}`,
        errors.target_std ? ` (the target's standard deviation is ${figure(errors.target_std)})` : "") : null,
      shares.length ? h("p", {}, `Right: ${shares.join(", ")}`,
        errors.majority_accuracy ? ` (always the most frequent class: ${percent(errors.majority_accuracy)})` : "") : null,
      result?.recommendation ? h("p", { class: "quiet" }, sentence(result.recommendation)) : null,
      (result?.warnings ?? []).map((text) => h("p", { class: "note" }, sentence(text))));
  }

  drawFront(run) {
    const rows = run.parts.front ?? [];
    if (!rows.length) return;
    const heads = [["", ""], ["complexity", "nodes"], ["RMSE", rows[0].accuracy ? "cross-entropy" : "error"], ["", "formula"]];
    replace(this.front, h("h2", {}, "Formulas on their ", term("front", "front")),
      h("div", { class: "wide", tabindex: "0", role: "region", "aria-label": "Front" }, h("table", { class: "front" },
        h("thead", {}, h("tr", {}, heads.map(([word, text]) => h("th", { scope: "col" }, word ? term(word, text) : text || h("span", { class: "unseen" }, "recommended"))))),
        h("tbody", {}, rows.map((row) => h("tr", { class: row.recommended ? "recommended" : "" },
          h("td", {}, row.recommended ? h("span", { role: "img", "aria-label": "recommended" }, "★") : ""),
          h("td", { class: "number" }, String(row.complexity)), h("td", { class: "number" }, figure(row.error)),
          h("td", {}, row.complexity <= 80 ? math(row.mathml, row.formula) : h("code", {}, row.formula))))))));
  }

  drawLog(entries, anew) {
    if (anew) replace(this.log);
    for (const entry of entries) {
      this.log.append(h("li", {}, h("time", {}, seconds(entry.seconds)), " ", entry.text));
    }
    const area = this.log.parentElement;
    area.scrollTop = area.scrollHeight;
  }
}

// What it costs to go on with other settings.
function costs(settings, names) {
  if (settings.kind === "train") {
    return "The training so far becomes a step of the history, with the best network until now; a new training goes on from there with these settings.";
  }
  const kept = names.length === 1 && names[0] === "functions" && settings.names.includes("functions")
    ? "Networks that are trained are kept; formulas are looked for again" : "Only the choice of columns is kept";
  return `The search begins anew with all of its seconds. ${kept}, and the front is empty until new ones are found.`;
}
