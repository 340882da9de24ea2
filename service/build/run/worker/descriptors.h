/*
 * How many descriptors this process may have: one for each layer and mount, and each level of
 * a tree that is walked. The step itself gets the limit that the daemon has.
 */
#ifndef SERVICE_BUILD_RUN_WORKER_DESCRIPTORS_H
#define SERVICE_BUILD_RUN_WORKER_DESCRIPTORS_H

void descriptors_raise(void);
void descriptors_restore(void);

#endif
