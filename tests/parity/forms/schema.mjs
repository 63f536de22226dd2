/** Fields that are not required accept null. Forms omit empty fields, and must not offer null. */
export function withoutNull(jsonSchema) {
  const notNull = (value) => value !== null && value !== "null";
  const properties = Object.entries(jsonSchema.properties).map(([name, property]) => {
    if (property.oneOf) return [name, property]; // labelled options have their own "(none)"
    const type = [property.type].flat().find(notNull);
    const options = property.enum && { enum: property.enum.filter(notNull) };
    return [name, { ...property, type, ...options }];
  });
  return { ...jsonSchema, properties: Object.fromEntries(properties) };
}
