// The chosen organization, kept as long as the key.

import { API_URL } from "../../../shared/server";

const STORAGE_KEY = `tocsin:organization:${new URL(API_URL).pathname}`;

export const storedOrganization = (): string | null => sessionStorage.getItem(STORAGE_KEY);
export const keepOrganization = (key: string): void => sessionStorage.setItem(STORAGE_KEY, key);
export const forgetOrganization = (): void => sessionStorage.removeItem(STORAGE_KEY);
