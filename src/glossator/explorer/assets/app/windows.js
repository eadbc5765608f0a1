// Inputs with true and predicted activations on the same tokens, or on the same cells of an image.
"use strict";
const STEPS = 999;
const KINDS = {
  top: ["Strongest", "the test inputs with the largest activations"],
  random: ["At random", "drawn regardless of activations"],
  missed: ["Near misses: unforeseen", "the unit fires, and the explanation predicts less than a quarter of it"],
  "false-alarm": ["Near misses: false alarms", "the explanation predicts firing, and the unit does not fire there"],
};

function Windows({ data, view }) {
  const predicted = data.windows.some((w) => w.predicted), images = data.inputs === "images" && data.windows.some((w) => w.image);
  const foreseen = images ? largestSaid(data) : null, both = predicted && view.show !== "true";
  const scale = !images ? `one scale, up to ${precise(data.largest)}` : `outlined from half of ${precise(data.largest)}${both ? ` (predictions: of ${precise(valueOf(data, foreseen))})` : ""} on, the rest under a veil`;
  return html`<div class="windows">
    <p class="key quiet"><span class="swatch true"></span> true activation${predicted && view.show !== "true" ? html` <span class="swatch said"></span> predicted by the explanation` : ""}; ${scale}. Hover or focus ${images ? "an image" : "a token"} for its numbers.${!predicted && data.why_unpredicted && data.why_unpredicted !== "not asked for" ? ` No predictions: ${data.why_unpredicted}.` : ""}</p>
    ${data.groups.map((group) => {
      const [name, about] = KINDS[group.kind] || [`Interval ${precise(group.low)} to ${precise(group.high)}`, "by the largest activation of each input"];
      const share = group.share === null || group.share === undefined ? "" : `; ${percent(group.share)} of random test inputs`;
      const windows = group.windows.map((i) => data.windows[i]);
      const usually = group.kind === "top" || window.innerWidth > 860;
      return html`<${Fold} key=${group.kind + group.low} name=${group.low === null ? group.kind : `interval-${precise(group.low)}`} usually=${usually}><summary><h3>${name} <span class="quiet">${about}${share}</span></h3></summary>
        <div class=${windows[0]?.image ? "images" : ""}>${windows.map((w, i) => w.image ? html`<${ImageWindow} key=${i} data=${data} w=${w} view=${view} foreseen=${foreseen} />` : html`<${TextWindow} key=${i} data=${data} w=${w} view=${view} foreseen=${group.kind === "false-alarm"} />`)}</div><//>`;
    })}
  </div>`;
}

// As many digits in every row, so that numbers below each other can be compared.
const sized = (value) => { if (value === null || value === undefined) return MISSING; const text = value === 0 ? "0" : Math.abs(value) >= 999.5 ? value.toFixed(0) : value.toPrecision(3); return text.replaceAll("-", "−"); };
const valueOf = (data, step) => (step === null || step === undefined ? null : (step * data.largest) / STEPS);
const peakOf = (w, values = w.true) => { const out = new Set(w.out); return values.reduce((at, a, i) => (!out.has(i) && a !== null && (at < 0 || a > values[at]) ? i : at), -1); };

// foreseen: shown around the peak of the prediction, not that of the unit.
function TextWindow({ data, w, view, foreseen }) {
  const [whole, setWhole] = useState(false);
  const peak = peakOf(w, foreseen ? w.predicted : w.true), out = new Set(w.out), open = whole || view.whole;
  const write = view.raw || !open ? piece : flowing;
  const from = open ? 0 : Math.max(0, peak - 18), to = open ? w.pieces.length : Math.min(w.pieces.length, Math.max(peak, 0) + 11);
  const tokens = [];
  for (let i = from; i < to; i++) tokens.push(html`<${Token} key=${i} text=${data.pieces[w.pieces[i]]} write=${write} t=${w.true[i]} p=${w.predicted ? w.predicted[i] : undefined} out=${out.has(i)} peak=${i === peak} data=${data} view=${view} />`);
  return html`<div class=${open ? "window whole" : "window"}>
    <div class="about"><b>${peak < 0 ? MISSING : sized(valueOf(data, w.true[peak]))}</b>${w.predicted && view.show !== "true" ? html` <span class="said-value" title="predicted at the same token">${peak < 0 ? MISSING : sized(valueOf(data, w.predicted[peak]))}</span>` : ""}</div>
    <div class="text">${from > 0 ? html`<span class="quiet">… </span>` : ""}${tokens}${to < w.pieces.length ? html`<span class="quiet"> …</span>` : ""}</div>
    <button type="button" class="small" aria-expanded=${open} title="document ${inert(w.group)}" onClick=${() => setWhole(!whole)}>${open ? "less" : "whole"}</button>
  </div>`;
}

function Token({ text, write, t, p, out, peak, data, view }) {
  const size = data.signed ? Math.abs : (v) => Math.max(0, v);
  const lit = out ? 0 : size(t) / STEPS, foreseen = out || p === undefined || p === null || view.show === "true" ? 0 : size(p) / STEPS;
  const style = {};
  if (lit > 0.02) style["--t"] = lit.toFixed(2);
  if (foreseen > 0.02) style["--p"] = foreseen.toFixed(2);
  const tip = out ? "left out" : `true ${precise(valueOf(data, t))}` + (p === undefined ? "" : `, predicted ${precise(valueOf(data, p))}`);
  const strong = lit > 0.02 || foreseen > 0.02;
  const [, lead, rest] = view.raw ? [null, "", write(text)] : write(text).match(/^( *)([^]*)$/);
  return html`${rest ? lead : ""}<span class=${`tok${out ? " out" : ""}${peak ? " peak" : ""}`} style=${style} data-tip=${`${piece(text)}\n${tip}`} tabindex=${peak ? 0 : -1} aria-label=${strong ? `${piece(text)}: ${tip}` : null} role=${strong ? "mark" : null}>${rest || lead}</span>`;
}

// What is shown of windows, kept in this browser.
const VIEW = { show: "both", raw: false, whole: false, plain: false };
function useView() {
  const [view, setView] = useState(() => { try { return { ...VIEW, ...JSON.parse(localStorage.getItem("glossator-view") || "{}") }; } catch { return VIEW; } });
  const change = (some) => { const next = { ...view, ...some }; setView(next); try { localStorage.setItem("glossator-view", JSON.stringify(next)); } catch { /* a browser that keeps nothing */ } };
  return [view, change];
}
function ViewControls({ view, change, images }) {
  return html`<div class="controls" role="group" aria-label="How inputs are shown">
    <label><input type="checkbox" checked=${view.show === "both"} onChange=${(e) => change({ show: e.target.checked ? "both" : "true" })} /> predictions</label>
    ${images ? html`<label><input type="checkbox" checked=${view.plain} onChange=${(e) => change({ plain: e.target.checked })} /> plain images</label>` : html`<label><input type="checkbox" checked=${view.raw} onChange=${(e) => change({ raw: e.target.checked })} /> raw tokens</label>
    <label><input type="checkbox" checked=${view.whole} onChange=${(e) => change({ whole: e.target.checked })} /> whole windows</label>`}
  </div>`;
}
