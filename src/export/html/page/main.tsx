// Draws the page.
import { render } from 'preact';
import { byClass, classesOf } from './aggregate';
import { open, type Engine } from './engine';
import { NONE, type Aggregate, type Model } from './model';

/** So many functions are listed. */
const MAX_ROWS = 100;

function Functions({ model, aggregate }: { model: Model; aggregate: Aggregate }) {
  const { functions, stacks, strings } = model;
  const classes = classesOf(stacks, stacks.function, functions.name.length);
  const { self, total } = byClass(stacks, classes, aggregate.totals.self);
  const sorted = Array.from(self.keys()).sort((a, b) => self[b] - self[a]).slice(0, MAX_ROWS);
  const percent = (time: number) => `${((100 * time) / (aggregate.totals.sum || 1)).toFixed(1)} %`;
  return (
    <table>
      <thead><tr><th>self</th><th>total</th><th>function</th><th>file</th></tr></thead>
      <tbody>
        {sorted.map((id) => (
          <tr key={id}>
            <td>{percent(self[id])}</td>
            <td>{percent(total[id])}</td>
            <td><bdi>{strings[functions.name[id]]}</bdi></td>
            <td><bdi>{functions.file[id] === NONE ? '' : strings[functions.file[id]]}</bdi></td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}

function Page({ engine, aggregate }: { engine: Engine; aggregate: Aggregate }) {
  const { meta } = engine.model;
  return (
    <>
      <h1><bdi>{meta.title}</bdi></h1>
      <p><bdi>{meta.command}</bdi></p>
      <p>{meta.facts.join(' · ')}</p>
      <ul>{meta.findings.map((finding) => <li key={finding}>{finding}</li>)}</ul>
      <Functions model={engine.model} aggregate={aggregate} />
    </>
  );
}

async function start() {
  const main = document.getElementById('page')!;
  main.textContent = '';
  try {
    const engine = await open(document);
    document.title = `${engine.model.meta.title} – rsamp`;
    const all = { from: 0, to: engine.model.meta.duration_ns, threads: null, processes: null, idle: false, states: null };
    const aggregate = await engine.aggregate({ ...all, mode: engine.model.meta.mode });
    render(<Page engine={engine} aggregate={aggregate} />, main);
  } catch (error) {
    render(<p role="alert">This page cannot be shown: {(error as Error).message}.</p>, main);
  }
}

// The data stand behind the script.
document.addEventListener('DOMContentLoaded', () => void start());
