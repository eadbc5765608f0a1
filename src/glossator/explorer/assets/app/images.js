// Images with what a unit does at their cells: cells where it is silent lie under a veil, once as it is and once as predicted.
"use strict";

// The largest prediction in all windows, in steps: predictions have a scale of their own, as they may be far too small to be seen on the unit's.
const largestSaid = (data) => Math.max(1, ...data.windows.flatMap((w) => w.predicted || []).filter((p) => p !== null));
const firesOn = (windows) => (!windows || windows.inputs === "tokens" ? "tokens" : windows.windows.some((w) => w.grid && w.grid.length) ? `places in ${windows.inputs}` : windows.inputs);
const cellName = (i, columns) => `row ${Math.floor(i / columns) + 1}, column ${(i % columns) + 1}`;
const LIT = 0.5;

function ImageWindow({ data, w, view, foreseen }) {
  const cells = w.grid && w.grid.length ? w.grid : [1, 1], many = cells[0] * cells[1] > 1, peak = peakOf(w);
  const predicted = w.predicted && view.show !== "true", size = data.signed ? Math.abs : (v) => Math.max(0, v);
  const told = (i) => `true ${precise(valueOf(data, w.true[i]))}${w.predicted ? `, predicted ${precise(valueOf(data, w.predicted[i]))}` : ""}`;
  const mask = (values, scale, kind, name) => html`<div class="image ${kind}"><img src=${w.image} alt="" /><div class="cells" style=${{ gridTemplate: `repeat(${cells[0]}, 1fr) / repeat(${cells[1]}, 1fr)` }}>
    ${values.map((v, i) => { const lit = many ? Math.min(1, size(v ?? 0) / scale) : 1;
      return html`<span class=${view.plain || !many ? "" : lit >= LIT ? "veil lit" : "veil"} style=${{ "--v": lit.toFixed(2) }} data-tip=${`${many ? `${cellName(i, cells[1])}\n` : ""}${told(i)}`}></span>`; })}</div>${many && predicted ? html`<b>${name}</b>` : null}</div>`;
  const said = predicted ? peakOf(w, w.predicted) : -1;
  const summary = `${peak < 0 ? "no activation" : `strongest${many ? ` at ${cellName(peak, cells[1])}` : ""}: ${told(peak)}`}${many && said >= 0 ? `; predicted to be strongest at ${cellName(said, cells[1])}` : ""}`;
  return html`<figure tabindex="0" role="group" aria-label=${`image of ${inert(w.group)}; ${summary}`} data-tip=${summary.replaceAll("; ", "\n")}><div class="masks">
      ${mask(w.true, STEPS, "true", "true")}${predicted && many ? mask(w.predicted, foreseen || STEPS, "said", "predicted") : null}</div>
    <figcaption class="quiet">peak <b>${peak < 0 ? MISSING : precise(valueOf(data, w.true[peak]))}</b>${w.predicted ? html`, predicted there <span class="said-value">${peak < 0 ? MISSING : precise(valueOf(data, w.predicted[peak]))}</span>` : ""} · ${/^\d+$/.test(w.group) ? "image " : ""}${inert(w.group)}</figcaption></figure>`;
}

// A scene drawn from a sentence, and what the unit does on it.
function TryScene({ study, data, view, query }) {
  const [sentence, setSentence] = useState(query.scene || ""), [seed, setSeed] = useState(Number(query.seed) || 0);
  const [state, act] = useAction((chosen = seed) => { setQuery({ scene: sentence, seed: chosen || null }); return source.scene(study, data.unit, sentence, chosen); });
  useEffect(() => { if (query.scene) act(); }, [data.unit]);
  const again = () => { setSeed(seed + 1); act(seed + 1); }, shown = state.value && { ...state.value, windows: [state.value.window] };
  return html`<form onSubmit=${(e) => { e.preventDefault(); act(); }}>
    <label for="own-scene">A scene in a sentence</label>
    <input id="own-scene" maxlength="500" placeholder="such as: two small red dogs on grass at night" value=${sentence} onInput=${(e) => setSentence(e.target.value)} />
    <div class="row"><button type="submit" disabled=${state.busy || !sentence.trim()}>${state.busy ? "Running the model …" : "Draw it and run the unit"}</button>
      <button type="button" disabled=${state.busy || !sentence.trim()} onClick=${again}>Another with these words</button></div>
    ${state.error ? html`<${Trouble} error=${state.error} />` : shown ? html`<div class="scene"><${ImageWindow} data=${shown} w=${shown.window} view=${view} foreseen=${largestSaid(shown)} /></div>
      ${shown.missing.length ? html`<p class="caution">Not in the picture: ${inert(shown.missing.join("; "))}.</p>` : null}
      <p class="quiet">Scale up to ${precise(shown.largest)}, the unit's largest recorded activation or the one here${shown.window.predicted ? `; predictions up to ${precise(valueOf(shown, largestSaid(shown)))}` : ""}.</p>` : null}
  </form>`;
}
