'use strict';

// Told apart also by who sees few colours.
const colors = ['#0072b2', '#d55e00', '#009e73', '#cc79a7', '#8c6d00', '#56b4e9', '#7f3c8d', '#555555', '#a3180d', '#1b9e9e'];
const refresh = 30000;

const element = (name, text, kind) => {
  const e = document.createElement(name);
  if (text) e.textContent = text;
  if (kind) e.className = kind;
  return e;
};

// short writes a number with three digits that count.
const short = v => {
  if (v === 0) return '0';
  const a = Math.abs(v);
  if (a >= 1000) return v.toLocaleString('en', { maximumFractionDigits: 0 });
  if (a >= 0.001) return String(Number(v.toPrecision(3)));
  return v.toExponential(1);
};

const bytes = v => {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];
  let i = 0;
  while (Math.abs(v) >= 1024 && i < units.length - 1) { v /= 1024; i++; }
  return short(v) + ' ' + units[i];
};

// write a value of a unit.
const write = (v, unit, currency) => {
  if (v === null || v === undefined) return '-';
  switch (unit) {
    case 'ratio': return short(v * 100) + ' %';
    case 'seconds': return v !== 0 && Math.abs(v) < 1 ? short(v * 1000) + ' ms' : short(v) + ' s';
    case 'bytes': return bytes(v);
    case 'money/day': return short(v) + ' ' + currency + ' a day';
    case 'yes': return v ? 'yes' : 'no';
    case 'requests/s': case 'cores': case 'days': return short(v) + ' ' + unit;
  }
  return short(v);
};

// moments writes times on an axis, in steps of so many seconds.
const moments = (u, times, axis, space, step) => times.map(t => {
  const d = new Date(t * 1000);
  const two = n => String(n).padStart(2, '0');
  const day = two(d.getMonth() + 1) + '-' + two(d.getDate());
  return step >= 86400 ? day : (step >= 10800 ? day + '\n' : '') + two(d.getHours()) + ':' + two(d.getMinutes());
});

// binary are steps between the ticks of bytes.
const binary = [...Array(50).keys()].map(n => 2 ** n);

// whole are those between the ticks of what is counted.
const whole = [...Array(9).keys()].flatMap(n => [1, 2, 5].map(m => m * 10 ** n));

const steps = unit => {
  switch (unit) {
    case 'bytes': return { incrs: binary };
    case 'count': case 'pods': case 'yes': return { incrs: whole };
  }
  return {};
};

// bare are units that an axis has no place for.
const bare = ['money/day', 'requests/s', 'days', 'cores'];

const last = values => {
  for (let i = values.length - 1; i >= 0; i--) if (values[i] !== null) return values[i];
  return null;
};

let plots = [];

// draw a panel: its title, its plot, and below each line's value where the pointer is,
// or the last one.
const draw = (panel, view) => {
  const section = element('section');
  section.dataset.panel = panel.title;
  section.append(element('h2', panel.title));
  if (panel.help) section.append(element('p', panel.help));
  if (panel.error) section.append(element('p', panel.error, 'error'));
  if (panel.lines.length === 0) {
    section.append(element('div', panel.error ? '' : (panel.empty || 'Nothing was measured.'), 'plot none'));
    return { section };
  }
  const at = element('div', '', 'plot');
  const legend = element('ul');
  const values = panel.lines.map((line, i) => {
    const item = element('li');
    const mark = element('i');
    mark.style.background = colors[i % colors.length];
    const name = element('span', line.label);
    name.title = line.label;
    const value = element('b', write(last(line.values), panel.unit, view.currency));
    item.append(mark, name, value);
    legend.append(item);
    return value;
  });
  if (panel.more) legend.append(element('li', 'and ' + panel.more + ' more: choose a tenant or an endpoint'));
  section.append(at, legend);
  const show = (u) => {
    const i = u.cursor.idx;
    panel.lines.forEach((line, n) => {
      values[n].textContent = write(i === null || i === undefined ? last(line.values) : line.values[i], panel.unit, view.currency);
    });
  };
  return { section, at, options: {
    height: 160,
    legend: { show: false },
    cursor: { sync: { key: 'all' }, points: { size: 5 } },
    scales: { y: { range: (u, low, high) => {
      const bottom = Math.min(0, low);
      if (panel.unit === 'yes') return [0, 1.05];
      return [bottom, high === bottom ? bottom + 1 : high + (high - bottom) * 0.05];
    } } },
    axes: [
      { stroke: '#5a6577', grid: { stroke: '#e8ebf0' }, font: '11px system-ui', values: moments },
      { stroke: '#5a6577', grid: { stroke: '#e8ebf0' }, font: '11px system-ui', size: 66, ...steps(panel.unit),
        values: (u, splits) => splits.map(v => write(v, bare.includes(panel.unit) ? '' : panel.unit)) },
    ],
    series: [{}].concat(panel.lines.map((line, i) => ({
      label: line.label, stroke: colors[i % colors.length], width: 1.5, points: { show: line.values.filter(v => v !== null).length < 4 },
    }))),
    hooks: { setCursor: [show] },
  }, data: [view.times].concat(panel.lines.map(line => line.values)) };
};

const chosen = id => document.getElementById(id).value;

// choices fills a list with what there is, and keeps what was chosen.
const choices = (id, names) => {
  const list = document.getElementById(id);
  const before = list.value || new URLSearchParams(location.search).get(id) || '';
  if (before && !names.includes(before)) names = names.concat(before);
  list.replaceChildren(new Option('all', ''), ...names.map(n => new Option(n, n)));
  list.value = before;
};

let asked = 0;

const load = async () => {
  const turn = ++asked;
  const state = document.getElementById('state');
  const query = new URLSearchParams();
  for (const id of ['range', 'tenant', 'endpoint']) if (chosen(id)) query.set(id, chosen(id));
  history.replaceState(null, '', '?' + query);
  state.textContent = 'asking';
  let view;
  try {
    const answer = await fetch('/api/boards/' + encodeURIComponent(document.body.dataset.board) + '?' + query);
    if (!answer.ok) throw new Error(await answer.text());
    view = await answer.json();
  } catch (problem) {
    if (turn === asked) state.textContent = 'not known: ' + problem.message;
    return;
  }
  if (turn !== asked) return;
  choices('tenant', view.tenants);
  choices('endpoint', view.endpoints);
  document.querySelectorAll('.filter').forEach(f => { f.hidden = view.tenants.length === 0; });
  plots.forEach(p => p.destroy());
  plots = [];
  const drawn = view.panels.map(p => draw(p, view));
  document.getElementById('panels').replaceChildren(...drawn.map(d => d.section));
  for (const d of drawn) {
    if (d.options) plots.push(new uPlot({ ...d.options, width: d.at.clientWidth }, d.data, d.at));
  }
  const time = new Date(view.times[view.times.length - 1] * 1000);
  state.textContent = 'as of ' + time.toLocaleTimeString('en-GB');
  document.body.dataset.drawn = String(plots.length);
};

const begin = new URLSearchParams(location.search);
const range = document.getElementById('range');
if ([...range.options].some(o => o.value === begin.get('range'))) range.value = begin.get('range');
for (const id of ['tenant', 'endpoint']) choices(id, begin.get(id) ? [begin.get(id)] : []);
for (const id of ['range', 'tenant', 'endpoint']) document.getElementById(id).addEventListener('change', load);
addEventListener('resize', () => plots.forEach(p => p.setSize({ width: p.root.parentElement.clientWidth, height: 160 })));
setInterval(load, refresh);
load();
