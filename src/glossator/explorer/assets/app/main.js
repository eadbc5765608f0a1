// Which page is shown, the header, the keyboard, the hovering numbers.
"use strict";

function App() {
  const [here, setHere] = useState(located());
  const studies = useAsked(() => source.studies(), []);
  useEffect(() => {
    const moved = () => setHere(located());
    window.addEventListener("hashchange", moved);
    return () => window.removeEventListener("hashchange", moved);
  }, []);
  const list = studies.value || [];
  const study = here.study && here.study !== "compare" ? here.study : list.length === 1 ? list[0].study : "";
  const known = list.some((one) => one.study === study);
  useEffect(() => { document.title = [inert(here.rest), study || (here.study === "compare" ? "compare" : ""), "Glossator"].filter(Boolean).join(" – "); }, [here.rest, study, here.study]);
  useEffect(() => { if (here.page) window.scrollTo(0, 0); }, [here.study, here.page, here.rest]);
  const page = studies.error ? html`<main id="main"><${Trouble} error=${studies.error} /></main>`
    : !studies.value ? html`<main id="main"><${Waiting} /></main>`
    : here.study === "compare" ? html`<${ComparePage} query=${here.query} studies=${list} />`
    : !study ? html`<${Studies} list=${list} />`
    : !known ? html`<main id="main"><${Trouble} error=${new Error(`there is no study ${study} here`)} /><${Studies} list=${list} /></main>`
    : here.page === "label" ? html`<${LabelPage} key=${study} study=${study} query=${here.query} />`
    : here.page === "experiments" ? html`<${ExperimentsPage} key=${study} study=${study} query=${here.query} />`
    : here.page === "experiment" ? html`<${ExperimentPage} key=${here.rest} study=${study} number=${here.rest} />`
    : here.page === "readouts" ? html`<${ReadoutsPage} key=${study} study=${study} query=${here.query} />`
    : here.page === "voxels" ? html`<${VoxelsPage} key=${study} study=${study} query=${here.query} />`
    : here.page === "unit" ? html`<${UnitPage} key=${here.rest} study=${study} unit=${here.rest} query=${here.query} />`
    : html`<${StudyPage} key=${study} study=${study} query=${here.query} />`;
  return html`<a class="skip" href="#main" onClick=${(e) => { e.preventDefault(); document.getElementById("main")?.querySelector("h1, a, input")?.focus(); }}>Skip to the page</a>
    <header class="top"><a class="home" href=${list.length > 1 ? "#/" : address(study || list[0]?.study || "")}>Glossator</a>
      ${study && known ? html`<a href=${address(study)}>${inert(study)}</a>` : null}
      ${list.length ? html`<a href=${address("compare", "", "", { a: study || list[0].study })}>Compare</a>` : null}
      <span class="fill"></span>${source.live ? html`<a href="api/docs">API</a>` : null}
      <${Keyboard} /><button type="button" class="small" title="Light or dark" aria-label="Light or dark" onClick=${flip}>◐</button></header>
    ${page}`;
}

// Which keys there are. Those of one letter can be switched off, as speech input and slips of the hand type letters.
const KEYS = [["/", "search"], ["j, k", "next and previous unit"], ["s", "star the unit"], ["u", "back to the list"], ["← →", "from token to token of a text"], ["Enter", "open a unit; unfold a score"], ["?", "these keys"]];
let letters = true;
try { letters = localStorage.getItem("glossator-keys") !== "off"; } catch { /* a browser that keeps nothing */ }
function Keyboard() {
  const box = useRef(null), [on, setOn] = useState(letters);
  const change = (value) => { letters = value; setOn(value); try { localStorage.setItem("glossator-keys", value ? "on" : "off"); } catch { /* as above */ } };
  return html`<button type="button" class="small keyboard" aria-haspopup="dialog" onClick=${() => box.current.showModal()}>Keys</button>
    <dialog ref=${box} class="card" aria-label="Keys"><h2>Keys</h2><dl>${KEYS.map(([key, does]) => html`<div><dt><kbd>${key}</kbd></dt><dd>${does}</dd></div>`)}</dl>
      <p><label><input type="checkbox" checked=${on} onChange=${(e) => change(e.target.checked)} /> single-character shortcuts are on</label></p><button type="button" onClick=${() => box.current.close()}>Close</button></dialog>`;
}

// A file with one thing in it has no other pages to go to.
function Alone({ children }) {
  return html`<header class="top"><span class="home">Glossator</span><span class="fill"></span><button type="button" class="small" title="Light or dark" aria-label="Light or dark" onClick=${flip}>◐</button></header>${children}`;
}

function Studies({ list }) {
  return html`<main id="main"><h1>Studies</h1><ul class="studies">${list.map((one) => html`<li><a class="card" href=${address(one.study)}><b>${inert(one.study)}</b><br />${inert(one.subject)}, ${plural(one.units, "unit")}<br /><span class="quiet">${one.sites.map(inert).slice(0, 6).join(", ")}${one.sites.length > 6 ? ", …" : ""}</span></a></li>`)}</ul></main>`;
}

function flip() {
  const root = document.documentElement;
  const dark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  root.dataset.theme = dark ? "light" : "dark";
  try { localStorage.setItem("glossator-theme", root.dataset.theme); } catch { /* a browser that keeps nothing */ }
  window.dispatchEvent(new HashChangeEvent("hashchange"));
}
try { const kept = localStorage.getItem("glossator-theme"); if (kept) document.documentElement.dataset.theme = kept; } catch { /* a browser that keeps nothing */ }

// The numbers of a token, beside the pointer or the focused token.
const tip = document.createElement("div");
tip.id = "tip";
tip.setAttribute("aria-hidden", "true");
tip.hidden = true;
document.body.append(tip);
function tell(target, x, y) {
  const text = target?.closest?.("[data-tip]")?.dataset.tip;
  tip.hidden = !text;
  if (!text) return;
  tip.textContent = text;
  tip.style.left = `${Math.min(x + 14, window.innerWidth - tip.offsetWidth - 8)}px`;
  tip.style.top = `${Math.min(y + 18, window.innerHeight - tip.offsetHeight - 8)}px`;
}
document.addEventListener("mousemove", (e) => tell(e.target, e.clientX, e.clientY));
document.addEventListener("focusin", (e) => { const r = e.target.getBoundingClientRect(); tell(e.target, r.left, r.bottom - 12); });
document.addEventListener("scroll", () => { tip.hidden = true; }, { passive: true });

document.addEventListener("keydown", (e) => {
  if (e.key === "Escape") tip.hidden = true;
  if (e.target.matches?.("input, select, textarea") || e.ctrlKey || e.metaKey || e.altKey) { if (e.key === "Escape") e.target.blur(); return; }
  if ((e.key === "ArrowLeft" || e.key === "ArrowRight") && e.target.matches?.(".text .tok")) {
    const tokens = [...e.target.closest(".text").querySelectorAll(".tok")], to = tokens[tokens.indexOf(e.target) + (e.key === "ArrowLeft" ? -1 : 1)];
    if (to) { e.preventDefault(); to.focus(); }
    return;
  }
  if (!letters || document.querySelector("dialog[open]")) return;
  if (e.key === "?") document.querySelector("button.keyboard")?.click();
  if (e.key === "/") { const find = document.getElementById("find"); if (find) { e.preventDefault(); find.focus(); } }
  if (e.key === "j") document.querySelector("a[rel=next]")?.click();
  if (e.key === "k") document.querySelector("a[rel=prev]")?.click();
  if (e.key === "s") document.querySelector("button.star")?.click();
  if (e.key === "u") document.querySelector(".crumbs a")?.click();
  if (e.key === "j" || e.key === "k") {
    const units = [...document.querySelectorAll("ol.units a.unit")], at = units.indexOf(document.activeElement);
    if (units.length) units[Math.max(0, Math.min(units.length - 1, at + (e.key === "j" ? 1 : -1)))].focus();
  }
});

render(document.getElementById("shard-experiment") ? html`<${Alone}><${ExperimentAlone} /><//>` : html`<${App} />`, document.getElementById("app"));
