// The label page: blinded tasks for annotators, whose answers go back to the study or, from the disk, into a file.
"use strict";

function LabelPage({ study, query }) {
  const page = useAsked(() => source.study(study), [study]), stored = useAsked(() => source.taskSets(study), [study]);
  if (page.error || stored.error) return html`<main id="main"><${Trouble} error=${page.error || stored.error} /></main>`;
  if (!page.value || !stored.value) return html`<main id="main"><${Waiting} /></main>`;
  const kinds = Object.entries(page.value.asks), sets = stored.value;
  return html`<main id="main" class="label"><nav class="crumbs" aria-label="Where"><a href=${address(study)} title="back to the study (u)">← the study</a>${query.set ? html`<a class="button" href=${address(study, "label")}>another task</a>` : null}</nav>
    ${query.set ? html`<${TaskSet} key=${query.set} study=${study} set=${query.set} />` : html`<header class="title"><h1>Label</h1>
      <p class="quiet">You are not told which unit or method you see. Order and choice follow from the seed and a secret of the study.</p></header>
    <div class="columns even">
      ${source.live ? html`<section class="card"><h2>Draw a task</h2>${kinds.length ? html`<${Draw} study=${study} kinds=${kinds} query=${query} />` : html`<p class="quiet">These tasks need passages of text with activations, which this study has not got.</p>`}</section>` : null}
      <section class="card"><h2>Drawn before</h2>${sets.length ? html`<ul class="limits">${sets.map((one) => html`<li><a href=${address(study, "label", "", { set: one.tasks })}>${inert(one.title)}</a> <span class="quiet">${inert(one.task)}, ${plural(one.screens, "answer")} to give, ${inert(one.tasks.slice(0, 8))}</span></li>`)}</ul>` : html`<p class="quiet">${source.live ? "None yet." : "No task is in this export: glossator export --task preference puts one in."}</p>`}</section>
    </div>`}
  </main>`;
}

function Draw({ study, kinds, query }) {
  const [task, setTask] = useState(query.task || kinds[0][0]), [units, setUnits] = useState(query.units || ""), [seed, setSeed] = useState(query.seed || "0");
  const [state, act] = useAction(async () => {
    setQuery({ task, units, seed });
    const found = await source.drawTasks(study, task, units, Number(seed) || 0);
    location.hash = address(study, "label", "", { set: found.names.tasks });
  });
  return html`<form class="draw" onSubmit=${(e) => { e.preventDefault(); act(); }}>
    <label>Task <select value=${task} onChange=${(e) => setTask(e.target.value)}>${kinds.map(([kind, title]) => html`<option value=${kind}>${title} (${kind})</option>`)}</select></label>
    <label>Units <span class="quiet">how many to draw at random, “all”, or names with commas between them</span><input value=${units} placeholder="enough for one sitting" onInput=${(e) => setUnits(e.target.value)} /></label>
    <label>Seed <input type="number" min="0" max="2147483647" value=${seed} onInput=${(e) => setSeed(e.target.value)} /></label>
    <button type="submit" disabled=${state.busy}>${state.busy ? "Drawing …" : "Draw it"}</button>
    ${state.error ? html`<${Trouble} error=${state.error} />` : null}</form>`;
}

function TaskSet({ study, set }) {
  const found = useAsked(() => source.taskSet(study, set), [study, set]), node = useRef(null);
  useEffect(() => {
    if (!found.value) return undefined;
    const send = source.live ? async (given, again) => {
      const kept = await source.sendAnswers(study, given, again);
      return `Kept in the study: ${kept.answered} of ${kept.asked} answers by ${kept.rater}.${kept.unscored ? ` Not scored: ${kept.unscored}` : " They are on the study's page, beside the model's scores."}`;
    } : null;
    return askTasks(node.current, found.value, send);
  }, [found.value]);
  return found.error ? html`<${Trouble} error=${found.error} />` : html`${found.value ? null : html`<${Waiting} />`}<div ref=${node}></div>`;
}
