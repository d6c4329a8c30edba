// Draws the page: opens the recording in it, and shows its views.
import { render } from 'preact';

import { open } from './engine';
import { start } from './state';
import { App } from './views/app';
import { short } from './words';

async function show() {
  const main = document.getElementById('page')!;
  try {
    const engine = await open(document);
    engine.ready.catch(refuse);
    document.title = `${short(engine.model.meta.title)} – rsamp`;
    start(engine);
    main.textContent = '';
    render(<App />, main);
  } catch (error) {
    refuse(error as Error);
  }

  function refuse(error: Error) {
    render(null, main);
    main.textContent = '';
    render(<p role="alert">This page cannot be shown: {error.message}.</p>, main);
  }
}

// The data stand behind the script.
document.addEventListener('DOMContentLoaded', () => void show());
