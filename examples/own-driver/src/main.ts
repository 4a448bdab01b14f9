// A driver of one's own over all backends: what `ringwire certify examples/own-driver/dist/driver.js` does.
import { cellLine, certificateText, certify } from '@ringwire/certify';
import * as driver from './driver.js';

const certificate = await certify(driver, { onCell: (cell) => console.log(cellLine(cell)) });
console.log(certificateText(certificate));
process.exitCode = certificate.passed ? 0 : 1;
