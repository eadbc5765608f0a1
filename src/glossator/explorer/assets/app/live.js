// What needs a server: a unit on a text of one's own, and an explanation of one's own, scored as the study scores its own.
"use strict";

function Live({ study, data, view, query, inputs }) {
  const best = data.best === null ? null : data.explanations[data.best];
  return html`<section class="card live"><h2>Try it</h2>
    ${inputs === "images" ? html`<${TryScene} study=${study} data=${data} view=${view} query=${query} />` : html`<${TryText} study=${study} data=${data} view=${view} query=${query} />`}
    ${inputs === "tokens" ? html`<${Steer} study=${study} data=${data} query=${query} />` : null}
    <${Rescore} key=${data.unit} study=${study} data=${data} best=${best} query=${query} />
  </section>`;
}

function useAction(action) {
  const [state, setState] = useState({});
  const act = async (...given) => {
    setState((before) => ({ value: before.value, busy: true }));
    try { setState({ value: await action(...given) }); } catch (error) { setState({ error }); }
  };
  return [state, act];
}

function TryText({ study, data, view, query }) {
  const [text, setText] = useState(query.text || "");
  const [state, act] = useAction(() => { setQuery({ text, at: text === query.text ? query.at : null }); return source.attempt(study, data.unit, text); });
  useEffect(() => { if (query.text) act(); }, [data.unit]);
  return html`<form onSubmit=${(e) => { e.preventDefault(); act(); }}>
    <label for="own-text">Your text</label>
    <textarea id="own-text" rows="2" maxlength="20000" value=${text} onInput=${(e) => setText(e.target.value)} onKeyDown=${(e) => { if (e.key === "Enter" && (e.ctrlKey || e.metaKey)) act(); }}></textarea>
    <button type="submit" disabled=${state.busy || !text.trim()}>${state.busy ? "Running the model …" : "Run the unit on it"}</button>
    ${state.error ? html`<${Trouble} error=${state.error} />` : state.value ? html`<${TextWindow} data=${state.value} w=${state.value.window} view=${{ ...view, whole: true }} />
      ${state.value.inputs === "tokens" ? html`<${Strongest} study=${study} data=${data} tried=${state.value} text=${text} query=${query} />` : null}
      <p class="quiet">Scale up to ${precise(state.value.largest)}, the unit's largest recorded activation or the one here.</p>` : null}
  </form>`;
}

// Which units of the site are strongest at one token of the text.
function Strongest({ study, data, tried, text, query }) {
  const asked = Number(query.at ?? NaN), [at, setAt] = useState(asked >= 0 && asked < tried.pieces.length ? asked : peakOf(tried.window));
  const [state, act] = useAction(() => { setQuery({ at }); return source.strongest(study, data.site, data.polarity, text, at); });
  useEffect(() => { if (query.at === String(at)) act(); }, []);
  return html`<div class="row"><label>Strongest units at <select value=${at} onChange=${(e) => setAt(Number(e.target.value))}>${tried.pieces.map((p, i) => tried.window.out.includes(i) ? null : html`<option value=${i}>${i}: ${piece(p)}</option>`)}</select></label>
    <button type="button" disabled=${state.busy} onClick=${() => act()}>${state.busy ? "Running the model …" : "Find them"}</button></div>
    ${state.error ? html`<${Trouble} error=${state.error} />` : state.value ? html`<table><thead><tr><th scope="col">unit of ${inert(data.site)}</th><th scope="col" class="n">here</th><th scope="col" class="n">maximum</th><th scope="col">explanation</th></tr></thead><tbody>
      ${state.value.map((one) => html`<tr><td>${one.maximum === null ? inert(one.unit) : html`<a href=${unitAddress(study, one.unit)}>${inert(one.unit)}</a>`}</td><td class="n">${precise(one.activation)}</td><td class="n">${precise(one.maximum)}</td><td>${inert(one.explanation || (one.maximum === null ? "not in this study" : ""))}</td></tr>`)}</tbody></table>` : null}`;
}

function Rescore({ study, data, best, query }) {
  const before = best ? best.program || best.text : "";
  const [text, setText] = useState(query.own ?? before), [words, setWords] = useState(query.own ? query.words === "1" : best ? !best.program : false);
  const [state, act] = useAction(() => { setQuery({ own: text, words: words ? "1" : null }); return source.score(study, data.unit, text, words); });
  useEffect(() => { if (query.own) act(); }, [data.unit]);
  const known = Object.fromEntries((best ? best.scores : []).map((s) => [s.name, s]));
  return html`<form class="rescore" onSubmit=${(e) => { e.preventDefault(); act(); }}>
    <label for="own-explanation">Edit the explanation and see its score move</label>
    <textarea id="own-explanation" class="mono" rows="4" maxlength="20000" spellcheck=${false} value=${text} onInput=${(e) => setText(e.target.value)}></textarea>
    <div class="row"><label><input type="checkbox" checked=${words} onChange=${(e) => setWords(e.target.checked)} /> it is words, not a program</label>
      ${best && best.named.length && best.named[0].program && best.named[0].program !== "0.0" ? html`<button type="button" onClick=${() => { setText(best.named[0].program); setWords(false); }}>take the headline's class</button>` : null}
      ${text !== before ? html`<button type="button" onClick=${() => setText(before)}>reset</button>` : null}
      <button type="submit" disabled=${state.busy || !text.trim()}>${state.busy ? "Scoring …" : "Score it"}</button></div>
    ${state.error ? html`<${Trouble} error=${state.error} />` : state.value ? html`<div class="rescored"><p>${inert(state.value.summary)}</p>
      ${state.value.notes.map((note) => html`<p class="quiet">${inert(note)}</p>`)}
      <table><thead><tr><th scope="col">score</th><th scope="col" class="n">before</th><th scope="col" class="n">now [95 %]</th><th scope="col" class="n">moved</th></tr></thead><tbody>${state.value.scores.filter((s) => s.column === "causal" || MAIN_SCORES.test(s.name) || !known[s.name]).map((s) => { const old = known[s.name]?.value ?? null, moved = s.value === null || old === null ? null : s.value - old;
        return html`<tr><td>${inert(s.name)}</td><td class="n">${number(old)}</td><td class="n">${s.value === null ? inert(s.reason) : html`<b>${number(s.value)}</b> <span class="quiet">${interval(s.low, s.high)}</span>`}</td><td class="n ${moved > 0.005 ? "up" : moved < -0.005 ? "down" : ""}">${moved === null ? MISSING : (moved > 0 ? "+" : "") + number(moved)}</td></tr>`; })}</tbody></table></div>` : null}
  </form>`;
}
