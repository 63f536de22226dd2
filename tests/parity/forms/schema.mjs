/** Fields that are not required accept null. Forms omit empty fields, and must not offer null. */
export function withoutNull(jsonSchema) {
  const notNull = (value) => value !== null && value !== "null";
  const properties = Object.entries(jsonSchema.properties).map(([name, property]) => {
    const type = [property.type].flat().find(notNull);
    const options = property.enum && { enum: property.enum.filter(notNull) };
    const labelled = property.oneOf?.filter((option) => notNull(option.const));
    return [name, { ...property, type, ...options, ...(labelled && { oneOf: labelled }) }];
  });
  return { ...jsonSchema, properties: Object.fromEntries(properties) };
}
