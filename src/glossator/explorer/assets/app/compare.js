// Two sides beside each other: two units or explanations, two methods, two sites, two studies.
"use strict";

function ComparePage({ query, studies }) {
  const first = studies[0]?.study || "", a = query.a || first;
  const untrained = studies.some((one) => one.study === `${a}.random-weights`);
  const b = query.b || (untrained && !query.a_unit ? `${a}.random-weights` : a);
  const units = query.a_unit || query.b_unit;
  return html`<main id="main" class="compare"><header class="title"><h1>Compare</h1>
      <p class="quiet">${units ? "Two units, or two explanations of one." : "The same units on two sides: methods, sites or studies, such as a trained and an untrained network."}</p>
      <p><a class="button ${units ? "" : "on"}" href=${address("compare", "", "", { a, b })}>methods, sites, studies</a> <a class="button ${units ? "on" : ""}" href=${address("compare", "", "", { a, b, a_unit: query.a_unit || "…" })}>units</a></p></header>
    ${units ? html`<div class="two sides">${["a", "b"].map((side) => html`<${UnitSide} side=${side} study=${side === "a" ? a : b} query=${query} studies=${studies} />`)}</div>` : html`<${Sides} a=${a} b=${b} query=${query} studies=${studies} />`}
  </main>`;
}

function StudySelect({ name, value, studies }) {
  return studies.length < 2 ? html`<b>${inert(value)}</b>` : html`<select aria-label="Study ${name}" value=${value} onChange=${(e) => setQuery({ [name]: e.target.value, [`${name}_method`]: null, [`${name}_site`]: null })}>${studies.map((s) => html`<option value=${s.study}>${inert(s.study)}</option>`)}</select>`;
}

function Sides({ a, b, query, studies }) {
  const left = useAsked(() => source.study(a), [a]), right = useAsked(() => source.study(b), [b]);
  const score = query.score || left.value?.ranked_by, methods = left.value?.methods || [];
  const apart = a === b && methods.length > 1;  // two methods where the same study stands on both sides
  const a_method = query.a_method ?? (apart ? methods[0] : ""), b_method = query.b_method ?? (apart ? methods[1] : "");
  const asked = { a, b, a_method, b_method, a_site: query.a_site || "", b_site: query.b_site || "", score };
  const found = useAsked(() => (score ? source.compare(asked) : null), [JSON.stringify(asked)]);
  const side = (name, page, label) => html`<div class="side"><span class="quiet">${label}</span> <${StudySelect} name=${name} value=${name === "a" ? a : b} studies=${studies} />
    ${page.value ? html`<select aria-label="Method of ${name}" value=${name === "a" ? a_method : b_method} onChange=${(e) => setQuery({ a_method, b_method, [`${name}_method`]: e.target.value })}><option value="">best method of each unit</option>${page.value.methods.map((m) => html`<option value=${m}>${inert(m)}</option>`)}</select>
    ${source.live && page.value.sites.length > 1 ? html`<select aria-label="Site of ${name}" value=${query[`${name}_site`] || ""} onChange=${(e) => setQuery({ [`${name}_site`]: e.target.value })}><option value="">all sites</option>${[...new Set(page.value.sites.map((s) => s.site))].map((s) => html`<option value=${s}>${inert(s)}</option>`)}</select>` : null}` : null}</div>`;
  return html`<section class="card"><div class="row">${side("a", left, "A")}${side("b", right, "B")}
    ${left.value && source.live ? html`<label class="side"><span class="quiet">Score</span> <select value=${score} onChange=${(e) => setQuery({ score: e.target.value })}>${Object.keys(left.value.scores).map((name) => html`<option value=${name}>${name}</option>`)}</select></label>` : null}</div>
    ${found.error ? html`<${Trouble} error=${found.error} />` : !found.value ? (left.value && !score ? html`<p class="quiet">No unit has a score.</p>` : html`<${Waiting} />`) : html`<${Compared} data=${found.value} study=${a} names=${[[a, a_method], [b, b_method]].map((parts) => parts.filter(Boolean).map(inert).join(", "))} />`}
  </section>`;
}

function Compared({ data, study, names }) {
  const row = (name, e, more = "") => html`<tr><td>${name}</td><td class="n"><b>${number(e.value)}</b> <span class="quiet">${interval(e.low, e.high)}</span></td><td class="n">${count(e.n)}</td><td>${e.value === null ? inert(e.reason) : more}</td></tr>`;
  const same = data.units.every((_, i) => data.x[i] === data.y[i]);
  const order = same ? [] : data.units.map((_, i) => i).sort((i, j) => Math.abs(data.x[j] - data.y[j]) - Math.abs(data.x[i] - data.y[i])).slice(0, 20);
  return html`<table><caption class="quiet">${data.score}, means over units with 95 % intervals</caption><thead><tr><th scope="col">side</th><th scope="col" class="n">mean [95 %]</th><th scope="col" class="n">units</th><th scope="col"></th></tr></thead><tbody>
      ${row(`A ${names[0]}`, data.a)}${row(`B ${names[1]}`, data.b)}${row("A − B", data.difference, `paired, over the ${plural(data.paired, "unit")} that both have`)}</tbody></table>
    ${data.units.length ? html`<div class="columns even"><${Scatter} data=${{ x: data.x, y: data.y, x_name: `A ${names[0]}`, y_name: `B ${names[1]}`, of: data.paired, place: data.units }} chosen=${null} onBrush=${() => {}} hint="Click a dot to open its unit." onOpen=${(unit) => { location.hash = unitAddress(study, unit); }} />
      <div><h3>Largest differences</h3>${same ? html`<p class="quiet">There are none.</p>` : null}<table><thead><tr><th scope="col">unit</th><th scope="col" class="n">A</th><th scope="col" class="n">B</th><th scope="col" class="n">A − B</th></tr></thead><tbody>${order.map((i) => html`<tr><td><a href=${unitAddress(study, data.units[i])}>${inert(data.units[i])}</a></td><td class="n">${number(data.x[i])}</td><td class="n">${number(data.y[i])}</td><td class="n">${number(data.x[i] - data.y[i])}</td></tr>`)}</tbody></table></div></div>` : null}`;
}

function UnitSide({ side, study, query, studies }) {
  const given = query[`${side}_unit`] && query[`${side}_unit`] !== "…" ? query[`${side}_unit`] : side === "b" && query.a_unit !== "…" ? query.a_unit : "";
  const [text, setText] = useState(given), [view] = useView();
  useEffect(() => setText(given), [given]);
  const page = useAsked(() => (given ? source.unit(study, given) : null), [study, given]);
  const number_of = query[`${side}_explanation`];
  const data = page.value, at = data ? (number_of === undefined || number_of === "" ? (side === "b" && data.explanations.length > 1 && query.a_unit === given && query.b_unit === undefined ? data.explanations.findIndex((_, i) => i !== data.best) : data.best) : Math.min(Number(number_of), data.explanations.length - 1)) : null;
  const one = data && at !== null && at >= 0 ? data.explanations[at] : null;
  return html`<section class="card"><form class="row" onSubmit=${(e) => { e.preventDefault(); setQuery({ [`${side}_unit`]: text, [`${side}_explanation`]: null }); }}>
      <span class="quiet">${side.toUpperCase()}</span><${StudySelect} name=${side} value=${study} studies=${studies} />
      <input aria-label="Unit ${side}" placeholder="a unit such as mlp.12/42" value=${text} onInput=${(e) => setText(e.target.value)} /><button type="submit">Show</button></form>
    ${page.error ? html`<${Trouble} error=${page.error} />` : !given ? html`<p class="quiet">Which unit?</p>` : !data ? html`<${Waiting} />` : html`
      <h2><a class="mono" href=${unitAddress(study, data.unit)}>${inert(data.unit)}</a></h2>
      ${data.explanations.length ? html`<select aria-label="Explanation ${side}" value=${at} onChange=${(e) => setQuery({ [`${side}_explanation`]: e.target.value })}>${data.explanations.map((e, i) => html`<option value=${i}>${inert(e.method)}${e.role ? ` (${inert(e.role)})` : ""}, candidate ${e.rank + 1}</option>`)}</select>` : null}
      ${one ? html`<${Headline} one=${one} />${one.program ? html`<pre>${inert(one.program)}</pre>` : null}${one.scores.length ? html`<${Scores} list=${one.scores.filter((s) => s.column === "causal" || (MAIN_SCORES.test(s.name) && (one.named.length > 1 || !s.name.startsWith("modes."))))} of=${data.statistics ? { study, unit: data.unit, method: one.method, view } : null} /><${MarkKeys} scores=${one.scores} />` : html`<p class="quiet">Only the best candidate of each method is scored on the test split. This one reached r ${number(one.select)} on the select split.</p>`}` : html`<p class="quiet">No explanation: ${inert(data.reason)}</p>`}`}
  </section>`;
}
