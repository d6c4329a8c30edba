// Turns a file into what speedscope makes of it, as JSON on standard output:
//
//     node open_in_speedscope.js FOLDER FILE
//
// FOLDER is that of the npm package. It holds the program as browsers run it, in one script. Its last
// statements draw the page: they are left out, and the function by which the page opens a file is called
// instead. Of the page itself only names are needed.
const fs = require('fs');
const path = require('path');

const [folder, file] = process.argv.slice(2);
const release = path.join(folder, 'dist/release');
const script = fs.readdirSync(release).find((name) => /^speedscope-.*\.js$/.test(name));
const code = fs.readFileSync(path.join(release, script), 'utf8');
const open = /loadFileFromBase64:\(\w+,\w+\)=>\{this\.loadProfile\(\(\)=>([\w$]+)\(/.exec(code)[1];
const withoutPage = code.replace(/console\.log\(`speedscope v/, `globalThis.openFile = ${open}; return; $&`);

const page = new Proxy(function () {}, {
  get: (_, key) => (key === Symbol.toPrimitive ? () => '' : page),
  apply: () => page,
  construct: () => page,
});
globalThis.window = globalThis;
for (const name of ['document', 'navigator', 'location', 'localStorage', 'matchMedia', 'HTMLElement']) {
  Object.defineProperty(globalThis, name, { value: page, configurable: true });
}
console.log = console.error;
(0, eval)(withoutPage);

openFile(path.basename(file), fs.readFileSync(file).toString('base64')).then(
  (group) => process.stdout.write(JSON.stringify(group.profiles.map(told))),
  (error) => {
    console.error(error);
    process.exit(1);
  },
);

function told(profile) {
  const frames = [];
  profile.forEachFrame((frame) => {
    const { name, file, line } = frame;
    frames.push({ name, file, line, self: frame.getSelfWeight(), total: frame.getTotalWeight() });
  });
  // What the time order shows: one word per opened or closed frame, with the time.
  const order = [];
  profile.forEachCall(
    (node, at) => order.push(`+${node.frame.name} ${at}`),
    (node, at) => order.push(`-${node.frame.name} ${at}`),
  );
  const unit = profile.getWeightUnit();
  return { name: profile.getName(), unit, total: profile.getTotalWeight(), frames, order };
}
