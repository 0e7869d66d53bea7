/** Imposed by WebSocket: a control frame has 125 bytes, 2 of them the code (RFC 6455 section 5.5). */
export const CLOSE_REASON_BYTES_MAX = 123;

/** What fits of a reason into a WebSocket's close frame. Only ASCII stays, so that characters are bytes. */
export function closeReason(text: string): string {
  const ascii = text.replace(/[^\x20-\x7e]+/g, '?');
  return ascii.length <= CLOSE_REASON_BYTES_MAX ? ascii : `${ascii.slice(0, CLOSE_REASON_BYTES_MAX - 3)}...`;
}
