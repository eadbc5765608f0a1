// Directions and dictionaries: how they were found or trained, how alike their units are, how often they fire; controls beside.
"use strict";

function ReadoutsPage({ study, query }) {
  const page = useAsked(() => source.study(study), [study]), found = useAsked(() => source.readouts(study), [study]);
  const trouble = page.error || found.error;
  if (trouble) return html`<main id="main"><${Trouble} error=${trouble} /></main>`;
  if (!page.value || !found.value) return html`<main id="main"><${Waiting} what="Reading directions and dictionaries" /></main>`;
  const list = found.value.readouts;
  return html`<main id="main" class="readouts"><nav class="crumbs" aria-label="Where"><a href=${address(study)} title="back to the study (u)">← ${inert(study)}</a></nav>
    <header class="title"><h1>Directions and dictionaries</h1></header>
    ${list.length ? null : html`<p class="quiet">This study has units of the model itself alone. Directions and dictionaries are given with --directions and --dictionary.</p>`}
    <div class="stack">${list.map((one) => html`<${Readout} key=${one.site} one=${one} study=${study} query=${query} />`)}
      ${list.length ? html`<${Distributions} study=${study} data=${page.value} query=${query} heading="Scores by site" />` : null}</div></main>`;
}

function Readout({ one, study, query }) {
  if (one.wrong) return html`<section class="card"><h2 class="mono">${inert(one.site)}</h2><p class="trouble">${inert(one.wrong)}</p></section>`;
  const kind = { directions: "directions", dictionary: one.writes_at && one.writes_at !== one.reads_at ? "transcoder" : "dictionary" }[one.kind] || one.kind;
  return html`<section class="card"><div class="head"><h2><span class="mono">${inert(one.site)}</span> <span class="quiet">${inert(kind)}</span></h2>
      <span class="quiet">${count(one.width)} ${one.kind === "directions" ? "directions" : "units"}, <a href=${address(study, "", "", { site: one.site })}>${count(one.studied)} in the study</a></span></div>
    ${one.search ? html`<${SearchPaths} search=${one.search} study=${study} query=${query} />` : null}
    ${one.training ? html`<${Training} own=${one.training} beside=${one.beside} />` : null}
    <div class="plots">
      ${one.density ? html`<figure><figcaption><h3>How often units fire <span class="quiet">${count(one.density.n)} units of the study</span></h3></figcaption><${Bars} bars=${one.density} exponent=${true} xName="share of random places" label="density of ${one.density.n} units" /></figure>` : null}
      ${one.training?.density ? html`<figure><figcaption><h3>All latents on held-out text <span class="quiet">${count(one.training.silent)} never fire there</span></h3></figcaption><${Bars} bars=${one.training.density} outline=${sameEdges(one.training.density, one.beside?.density)} exponent=${true} xName="share of tokens" label="density of all latents" />
        ${sameEdges(one.training.density, one.beside?.density) ? html`<${Keys} list=${[["control", "trained on the network with random weights, as high"]]} />` : null}</figure>` : null}
      ${one.similarity ? html`<figure><figcaption><h3>How alike units are <span class="quiet">largest |cosine| with another, ${count(one.similarity.units.n)} units</span></h3></figcaption><${Bars} bars=${one.similarity.units} outline=${one.similarity.random} xName="largest |cosine|" label="largest cosine of each unit with another" />
        <${Keys} list=${[["control", "as many random directions, as high"]]} /><p class="quiet">Most alike: ${one.similarity.pair.map((i, at) => html`${at ? " and " : ""}<span class="mono">${one.site}/${i}</span>`)}, ${number(one.similarity.largest)}.</p></figure>` : null}
    </div>
    <${Fold} name=${`made-${one.site}`}><summary><h3>How it was made</h3></summary><dl class="facts">${one.facts.map(([name, text]) => html`<div><dt>${inert(name)}</dt><dd>${inert(text)}</dd></div>`)}</dl><//>
  </section>`;
}
const sameEdges = (a, b) => (b && JSON.stringify(a.edges) === JSON.stringify(b.edges) ? b : null);

function Training({ own, beside }) {
  const curve = (name, training, kind) => training && training.steps.length ? [{ name: kind ? "random weights" : "training batches", x: training.steps, y: training[name], kind }] : [];
  const plots = [["fvu", "variance unexplained", own.held.fvu, 0], ["l0", "latents active at a token", own.held.l0, 0], ["dead_share", "share of dead latents", own.held.dead_share, 0]]
    .filter(([name]) => own[name].some((v) => v !== null));
  const rows = [["fraction of variance unexplained", "fvu", number], ["as many principal components leave unexplained", "components_fvu", number], ["latents active at a token", "l0", (v) => precise(v)], ["silent latents", "silent_share", percent], ["dead at the end", "dead_share", percent], ["loss recovered", "loss_recovered", percent], ["loss as it is (nats)", "loss, clean", number], ["loss with the dictionary in place", "loss, spliced", number], ["loss with the site at 0", "loss, zero", number]]
    .filter(([, name]) => [own, beside].some((t) => t && t.held[name] !== null && t.held[name] !== undefined));
  return html`<h3>Training</h3>
    <div class="plots">${plots.map(([name, label, level, low]) => html`<figure><${Curves} series=${[...curve(name, own, ""), ...curve(name, beside, "control")]} levels=${[{ name: "held-out text", y: level, kind: "" }]} whole=${true} xName="step" yName=${label} low=${low} high=${own[name].some((v) => v) ? null : 1} /></figure>`)}</div>
    ${plots.length ? html`<${Keys} list=${[["", "batches"], ["level", "at the end; of variance and active latents on held-out text"], beside ? ["control", "the same on the network with random weights"] : null]} />` : html`<p class="quiet">Nothing was noted of its steps.</p>`}
    ${rows.length ? html`<div class="scroll"><table><thead><tr><th scope="col">on held-out text</th><th scope="col" class="n">this dictionary</th>${beside ? html`<th scope="col" class="n">random weights</th>` : null}</tr></thead><tbody>${rows.map(([label, name, write]) => html`<tr><td>${label}</td><td class="n">${write(own.held[name] ?? null)}</td>${beside ? html`<td class="n">${write(beside.held[name] ?? null)}</td>` : null}</tr>`)}</tbody></table></div>` : null}
    ${own.reason ? html`<p class="quiet">${inert(own.reason)}.</p>` : null}`;
}

// Named so because the search of units is called Search.
function SearchPaths({ search, study, query }) {
  const asked = Number(query.start) - 1, at = search.paths[asked] ? asked : search.kept[0]?.start ?? 0;
  const kept = new Map(search.kept.map((one) => [one.start, one]));
  const series = search.paths.map((path, i) => ({ name: `start ${i + 1}`, x: path.map((_, r) => r), y: path.map((one) => one.select), kind: i === at ? "chosen" : kept.has(i) ? "" : "control", marked: kept.has(i) && path[kept.get(i).round]?.select !== null ? [kept.get(i).round] : [] }));
  const path = search.paths[at] || [], chosen = kept.get(at);
  const side = (which, split) => path.map((one) => one[which][split] ?? null);
  const values = search.groups.flatMap((g) => g.values).filter((v) => v !== null);
  return html`<h3>Paths of the search <span class="quiet">each start: explained, then moved towards what was said, round by round</span></h3>
    <div class="plots">
      <figure><${Curves} series=${[...series.filter((_, i) => i !== at), ...series.filter((_, i) => i === at)]} xName="round" whole=${true} yName="score of the explanation" /><${Keys} list=${[["chosen", `start ${at + 1}`], ["", "others that were kept, with a dot at the round"], search.paths.length > kept.size ? ["control", "given up"] : null]} /></figure>
      <figure><${Curves} series=${[{ name: "explain split, before", x: path.map((_, r) => r), y: side("before", "explain"), kind: "control" }, { name: "explain split, after", x: path.map((_, r) => r), y: side("after", "explain"), kind: "" }, { name: "select split, after", x: path.map((_, r) => r), y: side("after", "select"), kind: "chosen" }]} whole=${true} xName="round of start ${at + 1}" yName="r with what was said" /><${Keys} list=${[["control", "before the steps"], ["", "after, explain split"], ["chosen", "after, select split"]]} /></figure>
      <figure><figcaption><h3>Test split <span class="quiet">${inert(search.score)}</span></h3></figcaption><${Strips} groups=${search.groups} low=${Math.min(0, ...values)} high=${Math.max(1, ...values)} xName="score" />${search.groups.length < 2 ? html`<p class="quiet">No controls were scored.</p>` : html`<p class="quiet legend">Ticks: directions. Dot: mean with its 95 % interval. Where the explainer abstains a direction counts 0.</p>`}</figure>
    </div>
    <div class="row"><label>Start <select value=${at} onChange=${(e) => setQuery({ start: Number(e.target.value) + 1 })}>${search.paths.map((_, i) => html`<option value=${i}>${i + 1}${kept.has(i) ? "" : ", given up"}</option>`)}</select></label>${search.restarted ? html`<span class="quiet">${count(search.restarted)} starts were redrawn, as none had an explanation</span>` : null}</div>
    <ol class="rounds" start="0">${path.map((one, r) => html`<li class=${chosen && chosen.round === r ? "best" : ""}><b>${number(one.select)}</b> ${inert(one.text ?? "no explanation")}${chosen && chosen.round === r ? html` <span class="chip ok">kept</span>` : null}</li>`)}</ol>
    <div class="scroll"><table><thead><tr><th scope="col">direction</th><th scope="col">explanation</th><th scope="col" class="n">start, round</th><th scope="col" class="n">select</th><th scope="col" class="n">test</th>${Object.keys(search.kept[0]?.baselines || {}).map((name) => html`<th scope="col" class="n">${inert(name)}</th>`)}</tr></thead>
      <tbody>${search.kept.map((one, i) => html`<tr><td>${one.unit ? html`<a class="mono" href=${unitAddress(study, one.unit)}>${inert(one.unit)}</a>` : html`<span class="mono">${i}</span>`}</td><td>${inert(one.text ?? "no explanation")}</td><td class="n">${one.start + 1}, ${one.round}</td><td class="n">${number(one.select)}</td><td class="n"><b>${number(one.test)}</b></td>${Object.values(one.baselines).map((v) => html`<td class="n">${number(v)}</td>`)}</tr>`)}</tbody></table></div>`;
}
