import { LearningSwitch } from '@ringwire/net-backend';
import { bootedState, guestPartsProblem, machineFiles } from './guest-parts.js';
import { LinuxMachine, NOWHERE } from './linux-machine.js';

const problem = guestPartsProblem();
if (problem !== undefined) {
  console.error(problem);
  process.exit(1);
}

console.log('booting a machine, or finding one that has booted …');
const state = await bootedState();
const { ports } = new LearningSwitch(2);
const mac = (last: number): Uint8Array => Uint8Array.of(2, 0, 0, 0, 0, last);
const machines: LinuxMachine[] = [];
for (const [index, port] of ports.entries()) {
  const cards = { msix: { port, mac: mac(index + 1) }, pin: { port: NOWHERE, mac: mac(0x80 + index) } };
  const machine = await LinuxMachine.open(machineFiles(), { state }, cards);
  const { msix } = await machine.loadDrivers();
  await machine.must(`ip address add 10.0.0.${index + 1}/24 dev ${msix}; ip link set ${msix} up`);
  console.log(`machine ${index + 1}: ${msix} has ${(await machine.must(`cat /sys/class/net/${msix}/address`)).trim()}`);
  machines.push(machine);
}
const [first, second] = machines as [LinuxMachine, LinuxMachine];

const pings = await first.must('ping -c 5 -i 0.2 10.0.0.2');
console.log(pings.split('\n').find((line) => line.includes('packets transmitted')));
await second.must('httpd -p 8000 -h /tmp; dd if=/dev/urandom of=/tmp/file bs=1k count=4096 2>/dev/null');
const [sent] = (await second.must('md5sum < /tmp/file')).split(' ');
const [received] = (await first.must('wget -q -O - http://10.0.0.2:8000/file | md5sum')).split(' ');
console.log(`4 MB over TCP: ${sent === received ? 'as they were' : `${sent} became ${received}`}`);
for (const [index, { counters }] of ports.entries())
  console.log(
    `port ${index + 1}: ${counters.forwarded > 0 ? 'frames forwarded' : 'nothing forwarded'}, ${counters.filtered} filtered`,
  );
for (const machine of machines) await machine.close();
process.exit(sent === received ? 0 : 1);
