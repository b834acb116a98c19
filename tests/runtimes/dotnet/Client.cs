// SPDX-License-Identifier: Apache-2.0
// Prints the body of a URL, whatever its status; compiled by mcs, run by .NET and by Mono.
using System;
using System.Net.Http;

static class Client {
    static int Main(string[] arguments) {
        try {
            HttpResponseMessage response = new HttpClient().GetAsync(arguments[0]).Result;
            Console.WriteLine(response.Content.ReadAsStringAsync().Result);
            return response.IsSuccessStatusCode ? 0 : 1;
        } catch (AggregateException error) {
            Console.Error.WriteLine(error);
            return 1;
        }
    }
}
