/** The package comes without types. */
declare module 'asl-validator' {
  interface Validation {
    readonly isValid: boolean;
    errorsText(separator: string): string;
  }
  export default function validate(definition: unknown): Validation;
}
