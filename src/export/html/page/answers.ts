// Answers questions about the runs: it unpacks those of each process, and sums them.
import { aggregate, idleOfAll, series, ThreadRuns, type SeriesRequest, type Tables } from './aggregate';
import { decodeRuns, unpack } from './decode';
import type { Aggregate, Selection } from './model';

/** What may be asked, and what the answer is. */
export interface Questions {
  /** Tables first, once. */
  open: { ask: Tables; answer: null };
  /** The packed runs of the threads of a process. */
  add: { ask: { text: string; threads: number[] }; answer: null };
  aggregate: { ask: Selection; answer: Aggregate };
  series: { ask: SeriesRequest; answer: Float64Array };
}

export type Question = { [Q in keyof Questions]: { what: Q; ask: Questions[Q]['ask'] } }[keyof Questions];

export class Answers {
  private tables!: Tables;
  private readonly threads = new Map<number, ThreadRuns>();
  private idle: Map<number, Uint8Array> | null = null;

  /** One after another: a process that is being unpacked is there for the next question. */
  private last: Promise<unknown> = Promise.resolve();

  answer(question: Question): Promise<unknown> {
    const told = this.last.then(() => this.now(question));
    this.last = told.catch(() => null);
    return told;
  }

  private async now({ what, ask }: Question): Promise<unknown> {
    switch (what) {
      case 'open':
        this.tables = ask;
        return null;
      case 'add': {
        const runs = decodeRuns(await unpack(ask.text), ask.threads.length, this.tables.stacks.parent.length);
        ask.threads.forEach((id, place) => this.threads.set(id, new ThreadRuns(runs[place])));
        this.idle = null;
        return null;
      }
      case 'aggregate':
        return aggregate(this.tables, this.threads, ask);
      case 'series':
        this.idle ??= idleOfAll(this.tables, this.threads);
        return series(this.tables, this.threads, this.idle, ask);
    }
  }
}
