// pnpm example NAME: run one of the examples, built.
const [name = ''] = process.argv.splice(2, 1);
if (!/^[a-z0-9-]+$/.test(name)) throw new Error(`example is "${name}", want a folder of examples, such as two-guests`);
await import(`./${name}/dist/main.js`);
