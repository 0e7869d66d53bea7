/**
 * Whether two secrets are equal, in a time that tells nothing of them but their length: that of an ordinary
 * comparison tells how many characters were guessed.
 */
export function equalsSecret(given: string, secret: string): boolean {
  if (given.length !== secret.length) return false;
  let difference = 0;
  for (let i = 0; i < secret.length; i++) difference |= given.charCodeAt(i) ^ secret.charCodeAt(i);
  return difference === 0;
}
