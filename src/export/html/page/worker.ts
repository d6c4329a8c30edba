// Answers the page's questions on a thread of its own.
import { Answers, type Question } from './answers';

/** The memory of an answer, which is handed over and not copied. */
function buffersOf(answer: unknown): ArrayBuffer[] {
  if (ArrayBuffer.isView(answer)) return answer.byteLength > 0 ? [answer.buffer as ArrayBuffer] : [];
  if (typeof answer !== 'object' || answer === null) return [];
  return Object.values(answer).flatMap(buffersOf);
}

export type Asked = Question & { id: number };
export type Told = { id: number } & ({ answer: unknown } | { error: string });

const answers = new Answers();

self.onmessage = async ({ data: { id, ...question } }: MessageEvent<Asked>) => {
  try {
    const answer = await answers.answer(question as Question);
    self.postMessage({ id, answer } satisfies Told, { transfer: buffersOf(answer) });
  } catch (error) {
    self.postMessage({ id, error: String((error as Error).message ?? error) } satisfies Told);
  }
};
