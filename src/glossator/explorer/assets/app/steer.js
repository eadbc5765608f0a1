// What the model writes while the unit is pushed up or down, beside an unsteered run and a random direction of equal norm.
"use strict";
const STEERED = { none: "unsteered", up: "pushed up", down: "pushed down", "random-direction": "random direction, equal norm" };

function Steer({ study, data, query }) {
  const [text, setText] = useState(query.steer || ""), [nats, setNats] = useState(query.nats || "1");
  const [heat, setHeat] = useState(query.temperature || "0"), [seed, setSeed] = useState(query.seed || "0");
  const [state, act] = useAction(() => {
    const drawn = Number(heat) > 0, given = { unit: data.unit, text, nats: Number(nats), tokens: 24, temperature: Number(heat), seed: Number(seed) || 0 };
    setQuery({ steer: text, nats: nats === "1" ? null : nats, temperature: drawn ? heat : null, seed: drawn ? seed : null });
    return source.steer(study, given).then((found) => ({ ...found, prompt: text, given }));
  });
  useEffect(() => { if (query.steer) act(); }, [data.unit]);
  const found = state.value;
  return html`<form onSubmit=${(e) => { e.preventDefault(); act(); }}>
    <label for="own-prompt">Steer the unit while the model continues</label>
    <textarea id="own-prompt" rows="2" maxlength="4000" value=${text} onInput=${(e) => setText(e.target.value)} onKeyDown=${(e) => { if (e.key === "Enter" && (e.ctrlKey || e.metaKey)) act(); }}></textarea>
    <div class="row"><label>Strength: next-token distributions move by <select value=${nats} onChange=${(e) => setNats(e.target.value)}>${["0.1", "0.3", "1", "3", "6"].map((n) => html`<option value=${n}>${n}</option>`)}</select> nats</label>
      <label>Next tokens: <select value=${heat} onChange=${(e) => setHeat(e.target.value)}><option value="0">the likeliest</option>${["0.5", "0.7", "1", "1.3"].map((t) => html`<option value=${t}>drawn, temperature ${t}</option>`)}</select></label>
      ${Number(heat) > 0 ? html`<label>Seed <input type="number" class="short" min="0" max="2147483647" value=${seed} onInput=${(e) => setSeed(e.target.value)} /></label>` : null}
      <button type="submit" disabled=${state.busy || !text.trim()}>${state.busy ? "Writing four times …" : "Steer and read"}</button></div>
    ${state.error ? html`<${Trouble} error=${state.error} />` : found ? html`<div class="steered">${found.continuations.map((one) => html`<section><h4>${STEERED[one.way] || inert(one.way)} <span class="quiet">${one.nats ? `${precise(one.nats)} nats` : ""}</span></h4>
        <p><span class="quiet">${flowing(found.prompt)}</span>${flowing(one.text)}</p></section>`)}</div>
      <p class="quiet">The push adds ${precise(found.continuations.find((one) => one.way === "up")?.strength ?? null)} to the unit at every token and moves ${inert(found.site)} by ${precise(found.norm)}; the random direction moves it as far. ${found.given.temperature ? `Tokens are drawn at temperature ${found.given.temperature}, seed ${found.given.seed}, with the same chances in all four.` : "The likeliest token each time."}${found.why_not ? ` ${inert(found.why_not)}.` : ""}</p>` : null}
  </form>`;
}
