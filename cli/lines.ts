/**
 * A stream of bytes cut into lines, in memory bounded by the longest line.
 *
 * Lines end with \n and nothing else (JSON may contain other separators as they are), and come as bytes, so that damage to
 * their encoding can be seen. They come in groups, one for each chunk that ends a line: what is there is worked on at once.
 */
export async function* lineGroups(input: AsyncIterable<Buffer>, bytesMax: number): AsyncGenerator<Buffer[]> {
  let begun: Buffer[] = [];
  let begunBytes = 0;
  for await (const chunk of input) {
    const lines: Buffer[] = [];
    let from = 0;
    for (let end = chunk.indexOf(10); end >= 0; end = chunk.indexOf(10, from)) {
      lines.push(begunBytes === 0 ? chunk.subarray(from, end) : Buffer.concat([...begun, chunk.subarray(0, end)]));
      begun = [];
      begunBytes = 0;
      from = end + 1;
    }
    if (lines.length > 0) yield lines;
    if (from < chunk.length) {
      begun.push(chunk.subarray(from));
      begunBytes += chunk.length - from;
      // The beginning is enough for whoever is to say that it is no good line.
      if (begunBytes > bytesMax) break;
    }
  }
  if (begunBytes > 0) yield [Buffer.concat(begun)];
}
