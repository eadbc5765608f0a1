// The page of a study: what it is, how scores are distributed, which units there are.
"use strict";

function StudyPage({ study, query }) {
  const page = useAsked(() => source.study(study), [study]), found = useListed(study, query), was = useRef(false), [seen, setSeen] = useState(false);
  if (page.value && (found.value || found.error || found.meaning)) was.current = true; // and stays, whatever is asked next
  const shown = was.current;
  useEffect(() => { if (shown) requestAnimationFrame(() => setTimeout(() => setSeen(true))); }, [shown]);
  if (page.error) return html`<${Trouble} error=${page.error} />`;
  if (!shown) return html`<${Waiting} />`; // laid out once, with its list
  const data = page.value;
  return html`<main class="study" id="main">
    <header class="title"><h1>${inert(data.subject)} <span class="quiet">${inert(data.name)}</span></h1>
      <p class="counts"><b>${count(data.units)}</b> units${Object.entries(data.counts).filter(([status, n]) => n && status !== "ok").map(([status, n]) => html`, <span class="chip ${status}">${count(n)} ${status}</span>`)} · ${data.sites.length === 1 ? inert(data.sites[0].site) : plural(data.sites.length, "site")} · ${data.methods.map(inert).join(", ") || "no explanation"}</p>
      ${data.pages.length ? html`<p class="row">${data.pages.map((page) => html`<a class="button" href=${address(study, page)}>${PAGE_NAMES[page] || page}</a>`)}</p>` : null}</header>
    <div class="columns wide">
      <${Units} study=${study} data=${data} query=${query} found=${found} />
      <div class="stack">
        <${Distributions} study=${study} data=${data} query=${query} when=${seen} />
        <${Agreement} study=${study} data=${data} query=${query} when=${seen} />
        <${Fold} name="made" class="card"><summary><h2>How it was made</h2></summary><dl class="facts">${data.facts.map(([name, text]) => html`<div><dt>${name}</dt><dd>${inert(text)}</dd></div>`)}</dl><//>
        <${Fold} name="cost" class="card" usually=${data.costs.length > 0}><summary><h2>Cost</h2></summary>${data.costs.length ? html`<table><thead><tr><th scope="col">stage</th><th scope="col">language model</th><th scope="col" class="n">requests</th><th scope="col" class="n">failed</th><th scope="col">used</th></tr></thead>
          <tbody>${data.costs.map((c) => html`<tr><td>${inert(c.stage)}</td><td>${inert(c.model)}</td><td class="n">${count(c.requests)}</td><td class="n">${count(c.failures)}</td><td>${inert(c.words)}</td></tr>`)}</tbody></table>` : html`<p class="quiet">No language model was asked.</p>`}<//>
        ${Object.keys(data.asks).length ? html`<section class="card"><h2><a href=${address(study, "label")}>Label</a></h2><p class="quiet">Blinded tasks for annotators: which explanation fits, where a unit fires, what it responds to.</p></section>` : null}
        ${data.experiments ? html`<section class="card"><h2><a href=${address(study, "experiments")}>${plural(data.experiments, "experiment")}</a></h2><p class="quiet">Hypotheses about units, tested on inputs made for them.</p></section>` : null}
        ${data.people ? html`<${Annotators} people=${data.people} />` : null}
      </div>
    </div>
  </main>`;
}

// What annotators answered, over all units.
function Annotators({ people }) {
  const told = (found) => (found === null || found === undefined || found.value === null ? `${MISSING}${found && found.reason ? ` (${inert(found.reason)})` : ""}` : `${number(found.value)} ${interval(found.low, found.high)}`);
  const table = (caption, names, rows) => rows.length ? html`<div class="scroll"><table><caption class="quiet">${caption}</caption><thead><tr>${names.map((name) => html`<th scope="col">${name}</th>`)}</tr></thead><tbody>${rows.map((cells) => html`<tr>${cells.map((cell) => html`<td>${cell}</td>`)}</tr>`)}</tbody></table></div>` : null;
  const flagged = (one, otherwise) => (one.flagged === null ? "unknown" : one.flagged ? html`<span class="chip failed">flagged</span>` : otherwise);
  return html`<details class="card" open><summary><h2>Human annotators</h2></summary>
    ${table("Imported answers", ["task", "annotator", "answered", "missing"], people.answers.map((a) => [inert(a.task), inert(a.rater), `${a.answered} of ${a.asked}`, Object.entries(a.missing).map(([why, n]) => `${n} ${inert(why)}`).join("; ")]))}
    ${table("Human simulation, beside the model's on the same passages; means over units", ["annotator", "explained by", "score", "human [95 %]", "model [95 %]", "difference [95 %]"], people.means.map((m) => [inert(m.rater), inert(m.method), inert(m.score), told(m.person), told(m.machine), told(m.difference)]))}
    ${table(`Preferences, the difference in ${people.held_against}, and whether a better score comes without preference`, ["method", "against", "answers", "win rate [95 %]", "difference in score [95 %]", "check"], people.win_rates.map((w) => [inert(w.method), inert(w.against), w.answers, told(w.rate), told(w.difference), html`${flagged(w, "")} ${inert(w.why)}`]))}
    ${table("Share of explanations rated as readable English; shuffled ones check attention", ["method", "share [95 %]"], Object.entries(people.readable).map(([method, found]) => [inert(method), told(found)]))}
    ${table(`Paraphrased explanations: how much of ${people.kept_score} is kept`, ["method", "rewrites", "original minus rewrite [95 %]", "kept [95 %]", "check"], people.kept.map((k) => [inert(k.method), k.rewrites, told(k.drop), told(k.kept), flagged(k, "keeps its score")]))}
    ${people.lines.length ? html`<dl class="facts">${people.lines.map(([name, found]) => html`<div><dt>${name}</dt><dd>${told(found)}</dd></div>`)}</dl>` : null}
  </details>`;
}

const PAGE_NAMES = { readouts: "Directions and dictionaries", voxels: "Voxels and topics" };

// What reads all units is asked for when the first of them are seen, which would wait for it.
function Distributions({ study, data, query, when = true, heading = "Scores over units" }) {
  const score = query.distribution || data.told[0];
  const found = useAsked(() => (score && when ? source.distribution(study, score) : null), [study, score, when]);
  const rest = Object.keys(data.scores).filter((name) => !data.told.includes(name));
  return html`<section class="card"><div class="head"><h2>${heading}</h2>
    ${score ? html`<select aria-label="Score" value=${score} onChange=${(e) => setQuery({ distribution: e.target.value })}>
      <optgroup label="Main scores">${data.told.map((name) => html`<option value=${name}>${name}</option>`)}</optgroup>
      ${rest.length && source.live ? html`<optgroup label="All others">${rest.map((name) => html`<option value=${name}>${name}</option>`)}</optgroup>` : null}
    </select>` : null}</div>
    ${!score ? html`<p class="quiet">No explanation has a score.</p>` : found.error ? html`<${Trouble} error=${found.error} />` : !found.value ? html`<${Waiting} what="Reading all units" />`
      : html`<p class="quiet">${found.value.column}: ${data.questions[found.value.column]} ${found.value.measure}, on the test split.</p><${Distribution} data=${found.value} rate=${data.rate} />`}
  </section>`;
}

const AXIS_NAMES = { score: "observational score", causal: "causal score", q: "q over baselines", density: "density" };

function Agreement({ study, data, query, when }) {
  const both = Boolean(data.main.causal) && data.main.causal !== data.ranked_by;
  const x = query.x || "score", y = query.y || (both ? "causal" : "density");
  const found = useAsked(() => (when ? source.points(study, x, y) : null), [study, x, y, when]);
  const rank = useAsked(() => (both && when ? source.agreement(study) : null), [study, when]);
  const range = (axis) => (query[`${axis}_from`] || query[`${axis}_to`] ? [Number(query[`${axis}_from`] || -Infinity), Number(query[`${axis}_to`] || Infinity)] : null);
  const rx = range(x), ry = range(y);
  const brush = (box) => setQuery(box ? { [`${x}_from`]: short(box.x[0]), [`${x}_to`]: short(box.x[1]), [`${y}_from`]: short(box.y[0]), [`${y}_to`]: short(box.y[1]) }
    : { [`${x}_from`]: null, [`${x}_to`]: null, [`${y}_from`]: null, [`${y}_to`]: null });
  const open = async (place) => { location.hash = unitAddress(study, await unitAt(study, place)); };
  const axis = (name, value) => html`<select aria-label=${name} value=${value} onChange=${(e) => setQuery({ [name]: e.target.value })}>${Object.entries(AXIS_NAMES).filter(([k]) => both || k !== "causal").map(([k, label]) => html`<option value=${k}>${label}</option>`)}</select>`;
  return html`<section class="card"><div class="head"><h2>${x === "score" && y === "causal" ? "Observational against causal" : "Units"}</h2><span class="axes">${axis("y", y)} against ${axis("x", x)}</span></div>
    ${!both ? html`<p class="quiet">Causal scores: ${data.why_empty.causal}.</p>` : rank.value ? html`<p class="quiet">Rank correlation over ${plural(rank.value.n, "unit")}: ${rank.value.value === null ? `none, ${rank.value.reason}` : html`<b>${number(rank.value.value)}</b> ${interval(rank.value.low, rank.value.high)}`}. What predicts a unit need not describe what it does.</p>` : null}
    ${found.error ? html`<${Trouble} error=${found.error} />` : !found.value ? html`<${Waiting} />` : found.value.of === 0 ? html`<p class="quiet">No unit has both values.</p>`
      : html`<${Scatter} data=${found.value} chosen=${rx && ry ? { x: rx, y: ry } : null} onBrush=${brush} onOpen=${open} />`}
  </section>`;
}
const short = (value) => Number(value.toPrecision(3)).toString();

const FILTERED = ["list", "words", "site", "polarity", "status", "method", "score_from", "score_to", "causal_from", "causal_to", "q_from", "q_to", "density_from", "density_to"];
const EACH = 50;

// The first units that the address asks for: {value, wanted: what it asks for, key, meaning: whether by meaning}.
function useListed(study, query) {
  const wanted = Object.fromEntries(["order", ...FILTERED].filter((name) => query[name]).map((name) => [name, query[name]]));
  const key = JSON.stringify(wanted), meaning = source.live && query.by === "meaning" && Boolean(query.words);
  const found = useAsked(() => (meaning ? source.meaning(study, query.words, { ...wanted, words: null, order: null, limit: EACH }) : source.units(study, { ...wanted, limit: EACH })), [study, key, meaning]);
  return { ...found, wanted, key, meaning };
}

function Units({ study, data, query, found }) {
  const { wanted, key, meaning } = found, kept = useAsked(() => source.lists(study), [study]).value || {};
  const [more, setMore] = useState({ key: "", units: [], after: null });
  const further = more.key === key ? more : { units: [], after: found.value?.after };
  const units = found.value ? [...found.value.units, ...further.units] : [];
  const load = async () => {
    try {
      const next = await source.units(study, { ...wanted, limit: EACH, after: further.after });
      setMore({ key, units: [...further.units, ...next.units], after: next.after });
    } catch (error) { setMore({ ...further, key, error }); }
  };
  const active = FILTERED.filter((name) => query[name] && name !== "words");
  const unscored = found.value && !meaning && !active.length && !query.words ? data.units - found.value.total : 0;
  remember(study, units.map((u) => u.unit), location.hash);
  return html`<section class="card list" aria-label="Units">
    <form class="filters" role="search" onSubmit=${(e) => e.preventDefault()}>
      <${Search} value=${query.words || ""} slow=${query.by === "meaning"} />
      ${source.live ? html`<label><input type="checkbox" checked=${query.by === "meaning"} onChange=${(e) => setQuery({ by: e.target.checked ? "meaning" : null })} /> by meaning, not by words</label>` : null}
      <div class="row">
        <select aria-label="Order" disabled=${meaning} value=${meaning ? "meaning" : query.order || (data.ranked_by ? "best" : "place")} onChange=${(e) => setQuery({ order: e.target.value })}>
          <option value="best">best first</option><option value="worst">worst first</option>${data.main.causal ? html`<option value="causal">causal score</option>` : null}<option value="q">surest above baselines</option><option value="place">in order</option>${meaning ? html`<option value="meaning">closest in meaning</option>` : null}
        </select>
        ${data.sites.length > 1 ? html`<select aria-label="Site" value=${query.site || ""} onChange=${(e) => setQuery({ site: e.target.value })}><option value="">all sites</option>${[...new Set(data.sites.map((s) => s.site))].map((s) => html`<option value=${s}>${inert(s)}</option>`)}</select>` : null}
        ${new Set(data.sites.map((s) => s.polarity)).size > 1 ? html`<select aria-label="Polarity" value=${query.polarity || ""} onChange=${(e) => setQuery({ polarity: e.target.value })}><option value="">both polarities</option>${[...new Set(data.sites.map((s) => s.polarity))].map((p) => html`<option value=${p}>${{ "+": "positive", "-": "negative" }[p] ?? p}</option>`)}</select>` : null}
        ${data.methods.length > 1 ? html`<select aria-label="Method" value=${query.method || ""} onChange=${(e) => setQuery({ method: e.target.value })}><option value="">all methods</option>${data.methods.map((m) => html`<option value=${m}>${inert(m)}</option>`)}</select>` : null}
        ${Object.values(data.counts).filter(Boolean).length > 1 ? html`<select aria-label="Status" value=${query.status || ""} onChange=${(e) => setQuery({ status: e.target.value })}><option value="">any status</option>${Object.entries(data.counts).filter(([, n]) => n).map(([s]) => html`<option value=${s}>${s}</option>`)}</select>` : null}
        ${Object.keys(kept).length || query.list ? html`<select aria-label="List" value=${query.list || ""} onChange=${(e) => setQuery({ list: e.target.value })}><option value="">all units</option>${[...new Set([...Object.keys(kept), ...(query.list ? [query.list] : [])])].map((name) => html`<option value=${name}>${name === STARRED ? "★ starred" : inert(name)} (${(kept[name] || []).length})</option>`)}</select>` : null}
        <${Fold} name="ranges" class="ranges"><summary>ranges</summary><div>${["score", ...(data.main.causal ? ["causal"] : []), "q", "density"].map((name) => html`<label>${AXIS_NAMES[name]} <input type="number" step="any" aria-label="${name} from" placeholder="from" value=${query[`${name}_from`] || ""} onChange=${(e) => setQuery({ [`${name}_from`]: e.target.value })} /> <input type="number" step="any" aria-label="${name} to" placeholder="to" value=${query[`${name}_to`] || ""} onChange=${(e) => setQuery({ [`${name}_to`]: e.target.value })} /></label>`)}</div><//>
      </div>
      ${active.length ? html`<p class="row chips">${active.map((name) => html`<button type="button" class="chip" onClick=${() => setQuery({ [name]: null })} title="Remove this filter">${name.replace("_from", " from").replace("_to", " to")} ${inert(query[name])} ×</button>`)}</p>` : null}
    </form>
    ${found.error ? html`<${Trouble} error=${found.error} />` : !found.value ? html`<${Waiting} what="Reading units" />` : html`
      <p class="quiet" role="status">${meaning ? `the ${plural(units.length, "unit")} closest in meaning, of ${count(found.value.total)}` : found.value.total === data.units ? plural(data.units, "unit") : `${count(found.value.total)}${found.value.at_least ? " or more" : ""} of ${plural(data.units, "unit")}`}${data.ranked_by && query.order !== "place" && !meaning ? `, by ${data.ranked_by}` : ""}${unscored > 0 ? html`; <button type="button" class="small" onClick=${() => setQuery({ order: "place" })}>${count(unscored)} without a score</button>` : null}</p>
      <ol class="units">${units.map((unit) => html`<li key=${unit.unit}><${Listed} study=${study} unit=${unit} starred=${(kept[STARRED] || []).includes(unit.unit)} /></li>`)}</ol>
      ${further.error ? html`<${Trouble} error=${further.error} />` : null}
      ${further.after && !found.waiting ? html`<button type="button" class="more" onClick=${load}>More units</button>` : null}`}
  </section>`;
}

// Typing asks again only when it pauses.
function Search({ value, slow }) {
  const [text, setText] = useState(value), timer = useRef(0);
  useEffect(() => setText(value), [value]);
  const typed = (e) => { const words = e.target.value; setText(words); clearTimeout(timer.current); timer.current = setTimeout(() => setQuery({ words }), slow ? 500 : 120); };
  return html`<input type="search" id="find" aria-label="Search explanations and units" placeholder="Search explanations or units" value=${text} onInput=${typed} autocomplete="off" spellcheck=${false} />`;
}

function Listed({ study, unit, starred }) {
  return html`<a href=${unitAddress(study, unit.unit)} class="unit">
    <span class="id">${starred ? html`<span class="star" title="starred">★</span> ` : null}${inert(unit.unit)}${unit.cosine === undefined ? "" : `, cosine ${number(unit.cosine)}`}</span>
    <span class="score">${unit.score === null ? html`<span class="chip ${unit.status}">${unit.status}</span>` : html`<b>${number(unit.score)}</b>`}${unit.causal === null ? "" : html` <span class="acted" title="causal score">${number(unit.causal)}</span>`}</span>
    <span class="words">${inert(unit.text || unit.reason)}</span>
    ${unit.score === null ? null : html`<svg class="mini" viewBox="0 0 100 6" preserveAspectRatio="none" aria-hidden="true"><rect class="value" x="0" y="1.5" height="3" width=${100 * Math.max(0, Math.min(1, unit.score))} />${unit.low === null ? null : html`<line x1=${100 * clip(unit.low)} x2=${100 * clip(unit.high)} y1="3" y2="3" />`}</svg>`}
  </a>`;
}
const clip = (v) => Math.max(0, Math.min(1, v));

// The list that a unit was opened from, so that j and k go through it.
const lists = {};
const remember = (study, units, hash) => { if (units.length) lists[study] = { units, hash }; };
function beside(study, page, by) {
  const list = lists[study]?.units || [], at = list.indexOf(page.unit);
  return at >= 0 ? list[at + by] || null : by < 0 ? page.previous : page.next;
}
