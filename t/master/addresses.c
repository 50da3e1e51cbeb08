/*
 * addresses.c - the name of a service becomes the addresses that are meant.
 *
 * needs: master/addresses.c
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/net/dial.h"
#include "common/param/site.h"
#include "master/listeners.h"

static struct pool	*pool;

static int
set_up(void **state)
{
	(void)state;
	pool = pool_new("test", 0);
	site.inet_interfaces = "127.0.0.1";
	site.inet_protocols = "all";
	return 0;
}

static int
tear_down(void **state)
{
	(void)state;
	pool_free(pool);
	return 0;
}

/* The addresses as one line of text, or what is wrong. */
static const char *
meant(const char *service)
{
	static char	 text[1024];
	char		 host[INETADDR_TEXT];
	struct inetaddr	*list;
	const char	*why;
	size_t		 count, i, len = 0;

	if ((why = listener_addresses(pool, service, &list, &count)) != NULL)
		return why;
	text[0] = '\0';
	for (i = 0; i < count; i++)
		len += (size_t)snprintf(text + len, sizeof(text) - len,
		    "%s%s %u", i > 0 ? ", " : "", inetaddr_print(&list[i],
		    host, sizeof(host)), list[i].port);
	return text;
}

static void
a_number_uses_inet_interfaces(void **state)
{
	(void)state;
	assert_string_equal(meant("2525"), "127.0.0.1 2525");
	site.inet_interfaces = "127.0.0.1, 127.0.0.2, 127.0.0.1";
	assert_string_equal(meant("25"), "127.0.0.1 25, 127.0.0.2 25");
}

static void
names_of_mail_services_need_no_etc_services(void **state)
{
	(void)state;
	assert_string_equal(meant("smtp"), "127.0.0.1 25");
	assert_string_equal(meant("submission"), "127.0.0.1 587");
	assert_string_equal(meant("smtps"), "127.0.0.1 465");
	assert_non_null(strstr(meant("no-such-service"),
	    "no TCP service named \"no-such-service\""));
}

static void
a_host_of_its_own_wins(void **state)
{
	(void)state;
	site.inet_interfaces = "all";
	assert_string_equal(meant("127.0.0.9:10025"), "127.0.0.9 10025");
	assert_string_equal(meant("[127.0.0.9]:10025"), "127.0.0.9 10025");
	assert_string_equal(meant("[::1]:10025"), "::1 10025");
}

static void
families_that_are_not_wanted_are_left_out(void **state)
{
	(void)state;
	site.inet_interfaces = "all";
	site.inet_protocols = "ipv4";
	assert_string_equal(meant("25"), "0.0.0.0 25");
	site.inet_interfaces = "loopback-only";
	assert_string_equal(meant("25"), "127.0.0.1 25");
	assert_string_equal(meant("[::1]:25"),
	    "no address is left by inet_protocols");
	site.inet_protocols = "ipv5";
	assert_non_null(strstr(meant("25"), "expected all, ipv4 or ipv6"));
}

static void
ports_out_of_range_are_refused(void **state)
{
	(void)state;
	assert_non_null(strstr(meant("65536"), "no TCP service"));
	assert_non_null(strstr(meant("[::1"), "[address]:port"));
	assert_non_null(strstr(meant("[::1:25"), "[address]:port"));
}

static void
a_port_in_use_is_told(void **state)
{
	struct inetaddr		 address;
	struct sockaddr_storage	 at;
	socklen_t		 len = sizeof(at);
	const char		*why;
	int			 fd;

	(void)state;
	assert_true(inetaddr_parse(&address, "127.0.0.1"));
	address.port = 0;
	fd = listen_inet(&address, 1);
	assert_int_not_equal(fd, -1);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&at, &len), 0);
	inetaddr_from_sockaddr(&address, (struct sockaddr *)&at);
	why = listener_probe(pool, &address);
	assert_non_null(why);
	assert_non_null(strstr(why, "Address already in use"));
	close(fd);
	assert_null(listener_probe(pool, &address));
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest	tests[] = {
		TEST(a_number_uses_inet_interfaces),
		TEST(names_of_mail_services_need_no_etc_services),
		TEST(a_host_of_its_own_wins),
		TEST(families_that_are_not_wanted_are_left_out),
		TEST(ports_out_of_range_are_refused),
		TEST(a_port_in_use_is_told)
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
