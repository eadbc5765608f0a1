// Beside a unit: related units, output tokens; and below a score, what it was computed from.
"use strict";

// The star of a unit, and the other lists that it is in; kept with a served study, else in this browser.
const STARRED = "starred";
function InLists({ study, unit }) {
  const [lists, setLists] = useState({}), [error, setError] = useState(null), [name, setName] = useState("");
  useEffect(() => { source.lists(study).then(setLists, setError); }, [study]);
  const put = (list, inside) => source.put(study, list, unit, inside).then((found) => { setLists(found); setError(null); }, setError);
  const has = (list) => (lists[list] || []).includes(unit), star = has(STARRED);
  return html`<span class="inlists"><button type="button" class="star" aria-pressed=${star} title=${star ? "take the star away (s)" : "star this unit (s)"} aria-label="Starred" onClick=${() => put(STARRED, !star)}>${star ? "★" : "☆"}</button>
    <details><summary>lists</summary><div class="menu">${Object.keys(lists).filter((one) => one !== STARRED).map((list) => html`<label><input type="checkbox" checked=${has(list)} onChange=${(e) => put(list, e.target.checked)} /> ${inert(list)}</label>`)}
      <form onSubmit=${(e) => { e.preventDefault(); if (name.trim()) { put(name.trim(), true); setName(""); } }}><input aria-label="A new list" placeholder="a new list" maxlength="60" value=${name} onInput=${(e) => setName(e.target.value)} /> <button type="submit">add</button></form></div></details>
    ${error ? html`<${Trouble} error=${error} />` : null}</span>`;
}

const WAYS = { firing: "fire on the same inputs", weights: "write alike", meaning: "mean the same" };

function Related({ study, data, query }) {
  const by = Object.hasOwn(WAYS, query.related) ? query.related : "firing", [asked, setAsked] = useState(false);
  // What needs the model or an embedder is asked for by the reader, as loading takes a while.
  const slow = source.live && (by === "meaning" || (by === "weights" && !data.site.includes("@")));
  const found = useAsked(() => (slow && !asked ? null : source.neighbours(study, data.unit, by)), [study, data.unit, by, asked]);
  const ways = source.live ? Object.keys(WAYS) : data.site.includes("@") ? ["firing", "weights"] : ["firing"];
  const list = found.value && found.value.by === by ? found.value : null;
  return html`<section class="card related"><div class="head"><h2>Related units</h2>
      ${ways.length > 1 ? html`<span class="row" role="group" aria-label="Related in what">${ways.map((way) => html`<button type="button" class=${`small ${way === by ? "on" : ""}`} aria-pressed=${way === by} onClick=${() => { setQuery({ related: way === "firing" ? null : way }); setAsked(false); }}>${WAYS[way]}</button>`)}</span>` : null}</div>
    ${found.error ? html`<${Trouble} error=${found.error} />` : slow && !asked ? html`<p><button type="button" onClick=${() => setAsked(true)}>${by === "meaning" ? "Compare explanations" : "Compare what they write"}</button> <span class="quiet">${by === "meaning" ? "by a text embedder, which is loaded once" : "the model is loaded once"}</span></p>`
      : !list ? html`<${Waiting} what=${slow ? "Loading the model" : "Comparing units"} />` : !list.units.length ? html`<p class="quiet">None: ${inert(list.why)}.</p>` : html`
      <p class="quiet">${by === "firing" ? "Shared: how many of this unit's strongest inputs are among those of the other, beside the number by chance, and how many of these have their peak at the same place." : by === "weights" ? "Cosine of what each unit writes per unit of activation; negative: the opposite." : "Cosine of the explanations in the space of a text embedder."}</p>
      <div class="scroll"><table><thead><tr><th scope="col">unit and explanation</th>${by === "firing" ? html`<th scope="col" class="n">shared</th><th scope="col" class="n">by chance</th>${list.units.some((u) => u.same_peak !== null) ? html`<th scope="col" class="n">same peak</th>` : null}` : html`<th scope="col" class="n">cosine</th>`}<th scope="col" class="n">score</th></tr></thead>
        <tbody>${list.units.map((u) => html`<tr><td class="wide"><a class="mono" href=${unitAddress(study, u.unit)}>${inert(u.unit)}</a> ${inert(u.text ?? "no explanation")}</td>${by === "firing" ? html`<td class="n">${u.shared} of ${u.of}</td><td class="n">${precise(u.by_chance)}</td>${list.units.some((one) => one.same_peak !== null) ? html`<td class="n">${u.same_peak ?? MISSING}</td>` : null}` : html`<td class="n">${number(u.cosine)}</td>`}<td class="n">${number(u.score)}</td></tr>`)}</tbody></table></div>`}
  </section>`;
}

function Output({ study, data }) {
  const [state, act] = useAction(() => source.output(study, data.unit));
  useEffect(() => { if (!source.live || unfolded().includes("output")) act(); }, []);
  const found = state.value, most = found ? Math.max(...[...found.raises, ...found.lowers].map((t) => Math.abs(t.strength)), 1e-9) : 1;
  const side = (name, list) => html`<div><h3>${name}</h3>${list.length ? html`<ul class="tokens">${list.map((t) => html`<li><span class="mono tokname">${piece(t.token)}</span> <span class="bar"><i class="output" style=${{ width: `${(100 * Math.abs(t.strength)) / most}%` }}></i></span> <span class="n">${number(t.strength, 1)}</span></li>`)}</ul>` : html`<p class="quiet">none beyond chance</p>`}</div>`;
  return html`<section class="card"><h2>Output tokens</h2>
    ${state.error ? html`<${Trouble} error=${state.error} />` : !found ? html`<p><button type="button" disabled=${state.busy} onClick=${() => { setUnfolded("output", true); act(); }}>${state.busy ? "Reading the weights …" : "Read them off the weights"}</button> <span class="quiet">what the unit makes more and less likely to come next; the model is loaded once</span></p>`
      : found.why ? html`<p class="quiet">${inert(found.why)}.</p>` : html`<div class="two">${side("makes likely", found.raises)}${side("makes unlikely", found.lowers)}</div>
      <p class="quiet legend">Change of the logit, bypassing all later layers, in standard deviations over the vocabulary; a random direction's first token reaches ${number(found.chance, 1)}.</p>`}
  </section>`;
}

// The inputs that a score was computed from, or what a judge was asked about, with the given answers.
function Evidence({ of, s }) {
  const [most, setMost] = useState(6);
  const [state, act] = useAction(() => source.evidence(of.study, of.unit, of.method, s.name)), shown = `${s.name}!`;
  useEffect(() => { if (unfolded().includes(shown)) act(); }, []);
  const found = state.value;
  if (!found) return html`<p>${state.error ? html`<${Trouble} error=${state.error} />` : null}<button type="button" class="small" disabled=${state.busy} onClick=${() => { setUnfolded(shown, true); act(); }}>${state.busy ? "Drawing it again …" : "Show its evidence"}</button></p>`;
  if (!found.what) return html`<p class="quiet">No inputs to show: ${inert(found.why)}.</p>`;
  const answers = found.what === "answers", scored = found.true.length;
  return html`<div class="scoreevidence">
    ${found.why ? html`<p class="quiet">Here ${inert(found.why)}.</p>` : null}
    ${answers ? null : html`<${Dots} data=${found} />`}
    <h4>${answers ? "Answers, wrong ones first" : "Inputs, those first where the explanation errs most"} <span class="quiet">${Math.min(most, found.windows.length)} of ${count(scored)}</span></h4>
    ${found.windows.slice(0, most).map((w, i) => { const at = found.shown[i], given = found.said[at], right = found.true[at];
      const verdict = !answers ? DRAWN[found.kinds[at]] || found.kinds[at] : given === null ? "no answer" : found.kinds[at] === "question" ? (given === right ? "right" : "wrong") : `${found.kinds[at]}, said ${number(given)}`;
      return html`<div key=${i}><span class="chip ${answers && given !== null && Math.abs(given - right) > 0.5 ? "failed" : ""}">${verdict}</span>
        ${w.image ? html`<div class="images"><${ImageWindow} data=${found} w=${w} view=${of.view} /></div>` : html`<${TextWindow} data=${found} w=${w} view=${of.view} />`}</div>`; })}
    ${found.windows.length > most ? html`<button type="button" class="small" onClick=${() => setMost(found.windows.length)}>more</button>` : null}
  </div>`;
}

const DRAWN = { top: "among the strongest", random: "drawn at random" };
// The peak of each input: true across, predicted up; inputs drawn as strongest ones and at random differ in shape.
function Dots({ data }) {
  const width = 360, height = 190, left = 44, bottom = 30, top = 8, right = 8;
  const pairs = data.true.map((t, i) => [t, data.said[i], data.kinds[i]]).filter(([t, p]) => t !== null && p !== null);
  const ends = (values) => { const low = Math.min(0, ...values), high = Math.max(...values, 1e-9); return [low, high > low ? high : low + 1]; };
  const [x0, x1] = ends(pairs.map((p) => p[0])), [y0, y1] = ends(pairs.map((p) => p[1]));
  const x = (v) => left + ((v - x0) / (x1 - x0)) * (width - left - right), y = (v) => height - bottom - ((v - y0) / (y1 - y0)) * (height - top - bottom), [xt, xd] = ticks(x0, x1, 6), [yt, yd] = ticks(y0, y1, 4);
  return html`<svg class="dots" viewBox="0 0 ${width} ${height}" role="img" aria-label="largest prediction against largest activation of ${pairs.length} inputs">
    <line class="axis" x1=${left} x2=${width - right} y1=${y(0)} y2=${y(0)} /><line class="axis" x1=${x(0)} x2=${x(0)} y1=${top} y2=${height - bottom} />
    <line class="threshold" x1=${within(x(data.threshold), [left, width - right])} x2=${within(x(data.threshold), [left, width - right])} y1=${top} y2=${height - bottom} />
    ${pairs.map(([t, p, kind]) => kind === "top" ? html`<path class="top" d=${MARKS["token-list"](x(t), y(p), 2.4)} />` : html`<circle class="random" cx=${x(t)} cy=${y(p)} r="2.2" />`)}
    <text x=${(left + width - right) / 2} y=${height - 4} text-anchor="middle">largest activation of an input (dashed: threshold)</text>
    <text transform="translate(11 ${(top + height - bottom) / 2}) rotate(-90)" text-anchor="middle">largest prediction</text>
    ${xt.map((t) => html`<text x=${x(t)} y=${height - bottom + 12} text-anchor="middle">${number(t, xd)}</text>`)}${yt.map((t) => html`<text x=${left - 4} y=${y(t) + 4} text-anchor="end">${number(t, yd)}</text>`)}
  </svg><p class="quiet legend keys">${["top", "random"].filter((kind) => pairs.some((p) => (p[2] === "top") === (kind === "top"))).map((kind) => html`<span class="nowrap"><svg class="dots sign" viewBox="0 0 12 12" aria-hidden="true">${kind === "top" ? html`<path class="top" d=${MARKS["token-list"](6, 6, 3.4)} />` : html`<circle class="random" cx="6" cy="6" r="3.2" />`}</svg> ${DRAWN[kind]}</span> `)}</p>`;
}
