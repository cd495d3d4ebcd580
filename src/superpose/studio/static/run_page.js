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
    replace(this.note, says ? h("p", { class: "mistake", role: "alert" }, sentence(says)) : null);
    const button = (action, text, kind = "") => h("button", {
      type: "button", class: kind, id: `run-${action}`, onclick: () => this.control(action),
    }, text);
    const focused = document.activeElement?.id;
    replace(this.buttons,
      status === "running" ? button("pause", "Pause") : null,
      status === "paused" ? this.more() : null,
      status === "paused" ? button("resume", "Resume", "primary") : null,
      ["running", "paused"].includes(status) ? button("stop", "Stop") : null,
      status === "failed" && this.studio.pages.table.found
        ? h("button", { type: "button", class: "primary", onclick: () => this.studio.show("table") }, "Back to the table") : null,
      status === "dead" ? button("reopen", "Open again", "primary") : null,
      button("close", "Close"));
    if (focused?.startsWith("run-")) (document.getElementById(focused) ?? this.buttons.querySelector("button")).focus();
  }

  // More time for a run that is paused.
  more() {
    const seconds = h("input", { type: "number", id: "run-seconds", min: "1", value: "60", "aria-label": "More seconds" });
    const add = h("button", {
      type: "button", id: "run-extend", onclick: async () => {
        await this.control("extend", { seconds: Number(seconds.value) });
        add.textContent = `${seconds.value} s added`;
      },
    }, "Add seconds");
    return [seconds, add];
  }

  async control(action, more) {
    try {
      await this.studio.control(action, more);
    } catch (error) {
      replace(this.note, h("p", { class: "mistake", role: "alert" }, sentence(error.message)));
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
