import fc from 'fast-check';
import { SaxesParser } from 'saxes';
import { expect, test } from 'vitest';
import { certify } from '../certify.js';
import { plainDriver } from '../testing/plain-driver.js';
import { certificateJunit } from './junit.js';
import { certificateText } from './text.js';
import { xmlElement, xmlText } from './xml.js';

interface Element {
  readonly name: string;
  readonly attributes: Record<string, string>;
}

/** Elements and text of a document, by a parser that takes nothing that is not well-formed. */
function parsed(xml: string): { elements: Element[]; text: string } {
  const elements: Element[] = [];
  let text = '';
  const parser = new SaxesParser();
  parser.on('error', (error) => {
    throw error;
  });
  parser.on('opentag', ({ name, attributes }) => {
    elements.push({ name, attributes: attributes as Record<string, string> });
  });
  parser.on('text', (part) => {
    text += part;
  });
  parser.write(xml).close();
  return { elements, text };
}

test('any text comes back from an attribute and from an element, but for what XML has no characters for', () => {
  // XML 1.0 §2.2; a carriage return is one that parsers make line ends of.
  const none = /[^\t\n\u{20}-\u{d7ff}\u{e000}-\u{fffd}\u{10000}-\u{10ffff}]/gu;
  const anyText = fc.oneof(
    fc.string({ unit: 'binary' }),
    fc.string({
      unit: fc.constantFrom('<', '>', '&', '"', "'", ']', '\n', '\t', '\r', '\0', '\ud800', 'é', '😀', ' '),
    }),
  );
  fc.assert(
    fc.property(anyText, (said) => {
      const { elements, text } = parsed(xmlElement('a', { said }, `<b>${xmlText(said)}</b>`));
      const wanted = said.replace(none, '\ufffd');
      expect(elements[0]!.attributes).toEqual({ said: wanted });
      expect(text).toBe(wanted);
    }),
    { numRuns: 2000 },
  );
});

test('a certificate as JUnit: a suite for each cell, a case for each scenario, failures with their clause', async () => {
  const driver = { name: 'a <bad> "driver" & more', openDriver: plainDriver('num_buffers in a sent header') };
  const certificate = await certify(driver, {
    backends: ['pci', 'thread'],
    rings: ['split'],
    iommu: [false],
    scenarios: ['traffic', 'long frames'],
  });
  const { elements, text } = parsed(certificateJunit(certificate));
  const named = (name: string): Record<string, string>[] =>
    elements.filter((one) => one.name === name).map(({ attributes }) => attributes);
  expect(named('testsuites')).toMatchObject([
    { name: 'a <bad> "driver" & more: virtio 1.4', tests: '4', failures: '2', errors: '0', skipped: '1' },
  ]);
  expect(named('testsuite').map(({ name, tests, failures, skipped }) => [name, tests, failures, skipped])).toEqual([
    ['pci, split, IOMMU off', '2', '2', '0'],
    ['thread, split, IOMMU off', '2', '0', '1'],
  ]);
  expect(named('testcase').map(({ classname, name }) => `${classname}: ${name}`)).toEqual([
    'pci, split, IOMMU off: traffic',
    'pci, split, IOMMU off: long frames',
    'thread, split, IOMMU off: traffic',
    'thread, split, IOMMU off: long frames',
  ]);
  const [failure] = named('failure');
  const type = expect.stringMatching(/^drv\.net\.tx\.2$/);
  expect(failure).toMatchObject({ type, message: 'virtio_net_hdr has num_buffers 1, want 0' });
  expect(named('skipped')).toEqual([{ message: 'the device runs by itself, in a thread of its own' }]);
  expect(text).toContain('(virtio 1.4 §5.1.9.2.1): MUST zero num_buffers');
  const words = certificateText(certificate);
  expect(words).toContain('§5.1.9.2.1');
  expect(words).toContain('in pci, split, IOMMU off: traffic, and 1 more');
  expect(words).toContain('long frames: skipped, because the device runs by itself');
  expect(words.trimEnd().split('\n').at(-1)).toBe('a <bad> "driver" & more fails 1 of 2 cells');
});
