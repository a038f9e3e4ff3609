"""The skin: what the page of a latency report wears beyond the sheet's own, and the little it does."""

from __future__ import annotations

__all__ = ["CSS", "SCRIPT"]

CSS = """
:root { --own: var(--c2); --foreign: var(--c0); --all: var(--c5); --late: #c8321f }
@media (prefers-color-scheme: dark) { :root { --late: #ff7a62 } }
p.lead { text-wrap: pretty }
.chips { display: flex; flex-wrap: wrap; gap: .4rem; padding: 0; margin: 0 0 1rem; list-style: none;
  font-size: .85rem }
.chips li { border: 1px solid var(--faint); border-radius: 99px; padding: .1rem .7rem; color: var(--muted);
  background: var(--card); overflow-wrap: anywhere }
.chips li.warn { color: var(--ink); border-color: var(--c1) }
.chips li.warn::before { content: "! "; color: var(--c1); font-weight: 700 }
nav.tabs { position: sticky; top: 0; z-index: 3; display: flex; gap: .4rem; overflow-x: auto;
  margin: 1.6rem calc(-1 * clamp(1rem, 4vw, 2rem)) 0; padding: .6rem clamp(1rem, 4vw, 2rem);
  background: var(--paper); border-bottom: 1px solid var(--faint); scrollbar-width: thin }
nav.tabs a { flex: none; padding: .25rem .8rem; border-radius: 99px; border: 1px solid var(--faint);
  color: var(--ink); text-decoration: none; font-size: .9rem; background: var(--card) }
nav.tabs a[aria-current] { background: var(--ink); color: var(--paper); border-color: var(--ink) }
td small { white-space: nowrap }
td a, th a { color: inherit; text-decoration-color: var(--faint); text-underline-offset: .2em }
article { scroll-margin-top: 3.5rem }
article > h2 { font-size: 1.35rem; letter-spacing: -.015em; margin: 2.2rem 0 0; overflow-wrap: anywhere }
article > h2 + .tiles { margin-top: 1rem }
.tiles .absent { font-size: 1.3rem; color: var(--muted); font-weight: 500 }
.tiles .bad { color: var(--late) }
.absent { color: var(--muted) }
section > h2 + svg, section > h2 + div { margin-top: .8rem }
h3 { font-size: .95rem; font-weight: 600; margin: 0 0 .1rem }
h3 + p { font-size: .85rem; margin: 0 0 .3rem }
.three { display: grid; gap: 1.6rem 2rem;
  grid-template-columns: repeat(auto-fit, minmax(min(100%, 19rem), 1fr)) }
svg path { fill: none; vector-effect: non-scaling-stroke; stroke-linecap: butt }
svg .grid { stroke: var(--faint); stroke-width: 1 }
svg .round { stroke: var(--muted); stroke-width: 1; stroke-dasharray: 2 3 }
svg .area { fill-opacity: .3; stroke-width: 1.4 } svg .edge { stroke-width: 1.6 }
svg .area.own, svg .bar.own { fill: var(--own) } svg .area.own, svg .dot.own { stroke: var(--own) }
svg .area.foreign, svg .bar.foreign { fill: var(--foreign) }
svg .area.foreign, svg .dot.foreign { stroke: var(--foreign) }
svg .area.all { fill: var(--all) } svg .area.all, svg .dot.all { stroke: var(--all) }
svg .dot { stroke-linecap: round; stroke-width: 5 }
svg .median { stroke: var(--ink); stroke-width: 2 }
svg .quantile { stroke: var(--ink); stroke-width: 1.5; stroke-dasharray: 3 2 }
svg .deadline { stroke: var(--late); stroke-width: 1.4; stroke-dasharray: 6 4 }
svg .late { stroke: var(--late); stroke-width: 7 }
svg .cell { fill: var(--c0) }
svg .s0 { opacity: .28 } svg .s1 { opacity: .45 } svg .s2 { opacity: .62 } svg .s3 { opacity: .8 }
svg .whisker { stroke: var(--ink); stroke-width: 3; opacity: .35 }
svg .mark { stroke: var(--ink); stroke-width: 8 }
svg .bar { opacity: .8 } svg .over { fill: var(--late); opacity: .75 }
svg .usual { stroke: var(--ink); stroke-width: 1.5 }
svg .v0 { stroke: var(--c0) } svg .v1 { stroke: var(--c1) } svg .v2 { stroke: var(--c2) }
svg .v3 { stroke: var(--c3) } svg .v4 { stroke: var(--c4) } svg .v5 { stroke: var(--c5) }
svg .v6 { stroke: var(--c6) } svg .v7 { stroke: var(--c7) }
svg .f0 { fill: var(--c0) } svg .f1 { fill: var(--c1) } svg .f2 { fill: var(--c2) }
svg .f3 { fill: var(--c3) } svg .f4 { fill: var(--c4) } svg .f5 { fill: var(--c5) }
.strips { display: grid; grid-template-columns: max-content minmax(0, 1fr) max-content; column-gap: .8rem;
  align-items: center; font-size: .85rem; margin-top: .5rem }
.strips .who { color: var(--muted); max-width: 10rem; line-height: 1.2 }
.shares { display: flex; gap: 2px; height: 2rem; margin: .8rem 0 1rem; border-radius: 6px; overflow: hidden }
.shares span { min-width: 0; overflow: hidden; color: var(--paper); font-size: .8rem; line-height: 2rem }
.shares span::before { content: "\\200b" } /* a name that finds no room goes to the next line, out of sight */
.shares em { display: inline-block; font-style: normal; white-space: nowrap; padding: 0 .35em }
.shares .own { background: var(--own) } .shares .foreign { background: var(--foreign) }
.strips b { font-weight: 600; color: var(--ink) }
.strips .val { text-align: right; font-weight: 550 }
.strips .scale { grid-column: 2 }
.scale { position: relative; height: 1.5rem; font-size: .75rem; color: var(--muted) }
.scale i { position: absolute; top: .25rem; transform: translateX(-50%); font-style: normal;
  white-space: nowrap }
.scale.rounds { margin-left: 4.2rem } .scale.rounds i { transform: none; padding-left: .3rem; top: 0 }
.plot { position: relative; padding: .5rem 0 0 4.2rem; margin-top: .4rem }
.scale.rounds + .plot { margin-top: 0; padding-top: 0 }
.scale.rounds + .plot .y { top: 0 }
.plot .y { position: absolute; left: 0; top: .5rem; width: 3.7rem; text-align: right; font-size: .75rem;
  color: var(--muted) }
.plot .y i { position: absolute; right: 0; transform: translateY(-50%); font-style: normal;
  white-space: nowrap }
.plot .under { font-size: .75rem; color: var(--muted); text-align: center; margin-top: -.2rem }
.key { display: flex; flex-wrap: wrap; gap: .2rem 1.1rem; padding: 0; margin: .3rem 0 0; list-style: none;
  font-size: .8rem; color: var(--muted) }
.key li::before { content: ""; display: inline-block; vertical-align: -.12em; margin-right: .5em;
  width: .8em; height: .8em; background: var(--c); border-radius: 2px }
.key li.line::before { width: 0; height: 1em; background: none; border-left: 2px var(--s, solid) var(--c);
  border-radius: 0 }
.tip { position: fixed; z-index: 9; pointer-events: none; background: var(--ink); color: var(--paper);
  border-radius: 6px; padding: .2rem .55rem; font-size: .8rem; max-width: 92vw }
p.small { font-size: .8rem; margin: .6rem 0 0; max-width: 60rem }
@media (max-width: 600px) { .tiles { grid-template-columns: repeat(2, minmax(0, 1fr)); gap: 1rem }
  .tiles dd { font-size: 1.6rem } .strips { column-gap: .5rem; font-size: .78rem }
  .scale.many i:nth-child(even) { display: none } .strips .who { max-width: 5.6rem }
  .shares span { font-size: .75rem }
  .ridges { grid-template-columns: 1fr max-content } .ridges .who { max-width: none; margin-top: .35rem }
  .ridges > svg { grid-area: auto / 1 / auto / 3; order: 0 } .ridges .scale { grid-column: 1 / 3 }
  .ridges { grid-auto-flow: dense }
  dl.facts { grid-template-columns: minmax(0, 6.5rem) minmax(0, 1fr); column-gap: .8rem }
  .plot { padding-left: 3.9rem } .plot .y { width: 3.5rem } .scale.rounds { margin-left: 3.9rem } }
@media print { nav.tabs { display: none } article[hidden] { display: block } section { break-inside: avoid } }
"""

# one variant at a time, and what a column of the timeline holds; the page is whole without it
SCRIPT = """
"use strict";
(() => {
  const all = (what) => [...document.querySelectorAll(what)];
  const articles = all("article"), tabs = all("nav.tabs a");
  if (articles.length > 1) {
    const show = () => {
      const at = Math.max(0, articles.findIndex((one) => "#" + one.id === location.hash));
      articles.forEach((one, i) => { one.hidden = i !== at; });
      tabs.forEach((one, i) => i === at ? one.setAttribute("aria-current", "true")
                                        : one.removeAttribute("aria-current"));
    };
    addEventListener("hashchange", show);
    show();
  }
  let tip = null;
  const hide = () => { if (tip) { tip.remove(); tip = null; } };
  all("svg[data-columns]").forEach((svg) => {
    const columns = svg.dataset.columns.split("|");
    svg.addEventListener("pointermove", (event) => {
      const place = svg.getBoundingClientRect(), share = (event.clientX - place.left) / place.width;
      const column = columns[Math.min(columns.length - 1, Math.max(0, Math.floor(share * columns.length)))];
      if (!tip) { tip = document.body.appendChild(document.createElement("div")); tip.className = "tip"; }
      tip.textContent = column;
      const room = document.documentElement.clientWidth - tip.offsetWidth - 4;
      tip.style.left = Math.max(4, Math.min(event.clientX + 12, room)) + "px";
      tip.style.top = Math.max(4, event.clientY - 38) + "px";
    });
    svg.addEventListener("pointerleave", hide);
  });
})();
"""
