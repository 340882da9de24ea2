#include "client/cli/stored_logins.h"

#include "imaged/v1/image_service.client.h"
#include "store/types/reference.h"

enum { PAGE = 500 };

static int add_domain(struct cli *cli, struct stored_logins *l, const char *name, struct err *err)
{
	struct reference ref;
	char *domain;

	if (reference_parse(name, &ref, NULL) || l->n_domains == STORED_LOGINS_MAX)
		return OK;
	for (size_t i = 0; i < l->n_domains; i++)
		if (!strcmp(l->domains[i], ref.domain))
			return OK;
	domain = strdup(ref.domain);
	if (!domain)
		return fail_nomem(err);
	l->domains[l->n_domains] = domain;
	l->messages[l->n] = credentials_for_registry(cli, domain, &l->logins[l->n_domains++]);
	l->n += l->messages[l->n] != NULL;
	return OK;
}

static int add_image(struct cli *cli, struct stored_logins *l, const Imaged__V1__ImageSummary *image, struct err *err)
{
	int r = OK;

	for (size_t i = 0; i < image->n_repo_digests && !r; i++)
		r = add_domain(cli, l, image->repo_digests[i], err);
	for (size_t i = 0; i < image->n_repo_tags && !r; i++)
		r = add_domain(cli, l, image->repo_tags[i], err);
	return r;
}

int stored_logins_load(struct cli *cli, struct stored_logins *l, struct err *err)
{
	Imaged__V1__ListImagesRequest request = IMAGED__V1__LIST_IMAGES_REQUEST__INIT;
	CLEANUP(freep) char *token = NULL;
	struct rpc_channel *channel;
	int r = cli_channel(cli, &channel, err);

	request.page_size = PAGE;
	while (!r) {
		CLEANUP(imaged__v1__image_service__list_images_freep) Imaged__V1__ListImagesResponse *page = NULL;

		r = imaged__v1__image_service__call_list_images(channel, cli_call_options(), &request, &page, err);
		for (size_t i = 0; !r && i < page->n_images; i++)
			r = add_image(cli, l, page->images[i], err);
		if (r || !*page->next_page_token)
			break;
		free(token);
		token = strdup(page->next_page_token);
		if (!token)
			return fail_nomem(err);
		request.page_token = token;
	}
	return r;
}

void stored_logins_wipe(struct stored_logins *l)
{
	for (size_t i = 0; i < l->n_domains; i++) {
		credentials_free(&l->logins[i]);
		free(l->domains[i]);
	}
	*l = (struct stored_logins){ .n = 0 };
}
