/** Server-sent events as a client of its own reads them: nothing of the product's parser is shared. */
export type WireEvent = { event: string; id: string | null; data: string; retryMs: number | null };

/** Whole events only: what is cut off at the end was never there. Ends or throws as the connection does. */
export async function* readEvents(body: ReadableStream<Uint8Array> | null): AsyncGenerator<WireEvent> {
  const decoder = new TextDecoder();
  let rest = '';
  for await (const piece of body ?? []) {
    rest += decoder.decode(piece, { stream: true });
    const blocks = rest.split('\n\n');
    rest = blocks.pop() ?? '';
    for (const block of blocks) yield readBlock(block);
  }
}

function readBlock(block: string): WireEvent {
  const read: WireEvent = { event: 'message', id: null, data: '', retryMs: null };
  for (const line of block.split('\n')) {
    const colon = line.indexOf(': ');
    const value = line.slice(colon + 2);
    if (line.startsWith('event: ')) read.event = value;
    if (line.startsWith('id: ')) read.id = value;
    if (line.startsWith('data: ')) read.data = value;
    if (line.startsWith('retry: ')) read.retryMs = Number(value);
  }
  return read;
}
