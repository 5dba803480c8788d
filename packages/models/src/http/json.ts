/** The JSON object (or list) in a text of the provider; null when it is something else. */
export function objectIn(text: string): object | null {
  try {
    const parsed: unknown = JSON.parse(text);
    return typeof parsed === 'object' ? parsed : null;
  } catch {
    return null;
  }
}

/** An event of which nothing can be made, as a failure tells it. */
export const notAnObject = (data: string): string => `an event that is not a JSON object: ${data.slice(0, 80)}`;
