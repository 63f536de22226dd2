const isReact = (specifier) => /^react(-dom)?(\/|$)/.test(specifier);

export function resolve(specifier, context, nextResolve) {
  const parentURL = isReact(specifier) ? import.meta.url : context.parentURL;
  return nextResolve(specifier, { ...context, parentURL });
}
