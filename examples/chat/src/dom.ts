// Plain DOM in a few words: elements, and what is said of an error.

export type Child = Node | string;
type Attributes = Record<string, string | boolean | ((event: Event) => void)>;

/** Makes an element: attributes by name, `onclick` and the like as listeners, then its children. */
export function h<K extends keyof HTMLElementTagNameMap>(
  tag: K, attributes: Attributes = {}, ...children: Child[]
): HTMLElementTagNameMap[K] {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === "function") element.addEventListener(name.slice(2), value);
    else if (typeof value === "boolean") element.toggleAttribute(name, value);
    else element.setAttribute(name, value);
  }
  element.append(...children);
  return element;
}

export function words(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
