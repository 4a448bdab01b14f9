import { LearningSwitch } from '@ringwire/net-backend';
import { machineFiles } from './guest-parts.js';
import { LinuxMachine, NOWHERE } from './linux-machine.js';

/**
 * Two machines on one switch, of which the first pings the second and fetches a file from it.
 * @param state of a machine that has booted, from which both go on
 * @param print takes what there is to be told, line by line
 * @returns whether the file arrived as it was
 */
export async function runMachines(state: ArrayBuffer, print: (line: string) => void): Promise<boolean> {
  const { ports } = new LearningSwitch(2);
  const mac = (last: number): Uint8Array => Uint8Array.of(2, 0, 0, 0, 0, last);
  const machines: LinuxMachine[] = [];
  for (const [index, port] of ports.entries()) {
    const cards = { msix: { port, mac: mac(index + 1) }, pin: { port: NOWHERE, mac: mac(0x80 + index) } };
    const machine = await LinuxMachine.open(machineFiles(), { state }, cards);
    const { msix } = await machine.loadDrivers();
    await machine.must(`ip address add 10.0.0.${index + 1}/24 dev ${msix}; ip link set ${msix} up`);
    print(`machine ${index + 1}: ${msix} has ${(await machine.must(`cat /sys/class/net/${msix}/address`)).trim()}`);
    machines.push(machine);
  }
  const [first, second] = machines as [LinuxMachine, LinuxMachine];

  const pings = await first.must('ping -c 5 -i 0.2 10.0.0.2');
  print(pings.split('\n').find((line) => line.includes('packets transmitted')) ?? pings);
  await second.must('httpd -p 8000 -h /tmp; dd if=/dev/urandom of=/tmp/file bs=1k count=4096 2>/dev/null');
  const [sent] = (await second.must('md5sum < /tmp/file')).split(' ');
  const [received] = (await first.must('wget -q -O - http://10.0.0.2:8000/file | md5sum')).split(' ');
  print(`4 MB over TCP: ${sent === received ? 'as they were' : `${sent} became ${received}`}`);
  for (const [index, { counters }] of ports.entries())
    print(
      `port ${index + 1}: ${counters.forwarded > 0 ? 'frames forwarded' : 'nothing forwarded'}, ${counters.filtered} filtered`,
    );
  for (const machine of machines) await machine.close();
  return sent === received;
}
